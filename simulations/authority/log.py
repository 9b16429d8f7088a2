"""A small model of the authority and of a node's replica: a log of opaque bodies in a chain.

``LogReplica`` satisfies ``gossip.replica.Replica`` with the rules of the real one: it applies only
the very next changeset, tells forks from gaps, and serves repairs from its log. Nothing overwrites
anything in this model: the state is all bodies since the beginning, so the chain checks it.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence

import msgpack
from blake3 import blake3

from gossip.replica import GENESIS, Changeset, Head, Outcome, Reach, Step, Verdict, Version
from store.history import Server, Standing, proof_of
from store.version import Head as StoredHead
from store.version import Version as StoredVersion

EMPTY = Head(GENESIS, bytes(32))


def chain(predecessor: bytes, body: bytes) -> bytes:
    """The digest after a body."""
    return hashlib.sha256(predecessor + blake3(body).digest()).digest()


class LogAuthority:
    """A history of committed changesets, at one server.

    It may lie: ``lose`` has it forget commits, as a failover or a restore does, and ``twin`` makes
    a second server of it, that takes writes too.
    """

    def __init__(self, tag: int = 1, server: Server = Server("db-1", 1)) -> None:  # noqa: B008
        self._tag = tag
        self.server = server
        self.log: list[Changeset] = []
        self.trimmed = 0
        """Up to this revision its log tells nothing any more."""
        self.raises = 0
        self.available = True

    def head(self) -> Head:
        return Head(self.log[-1].version, self.log[-1].digest) if self.log else EMPTY

    def state(self) -> list[bytes]:
        """All bodies, in order: what a replica at this head holds."""
        return [changeset.body for changeset in self.log]

    def commit(self, body: bytes) -> Changeset:
        """Give a body the next revision."""
        head = self.head()
        epoch, tag, revision = head.version if self.log else (1, self._tag, 0)
        return self._append((epoch, tag, revision + 1), body)

    def _append(self, version: Version, body: bytes) -> Changeset:
        head = self.head()
        changeset = Changeset(version, head.digest, chain(head.digest, body), body)
        self.log.append(changeset)
        return changeset

    def after(self, head: Head) -> list[Changeset] | None:
        """What follows a head; None when the log was trimmed there, or never held it."""
        revision = head.version[2]
        if head != EMPTY and (revision < self.trimmed or self._at(revision) != head):
            return None
        return self.log[revision:]

    def standing(self, confirmed: Head) -> Standing:
        """See ``store.authority.Authority``."""
        revision = confirmed.version[2]
        held = self._at(revision) if revision >= self.trimmed else None
        head = stored(self.head())
        proof = proof_of(head, None if held is None else held.digest, stored(confirmed))
        return Standing(head, self.server, proof)

    def raise_epoch(self, confirmed: Head, tag: int, *, forced: bool = False) -> Changeset | None:
        """See ``store.authority.Authority``; None when there was nothing to raise."""
        head = self.head()
        if not (self.standing(confirmed).proof or forced):
            return None
        self.raises += 1
        epoch = 1 + max(head.version[0], confirmed.version[0])
        return self._append(
            (epoch, tag, head.version[2] + 1), self._epoch_body(epoch, tag, confirmed)
        )

    def _epoch_body(self, epoch: int, tag: int, confirmed: Head) -> bytes:
        """What the changeset that raises an epoch says."""
        return b"epoch %d" % tag

    def lose(self, count: int, server: Server | None = None) -> None:
        """Forget the last commits; ``server`` is the one that is in its place from now on."""
        del self.log[len(self.log) - count :]
        self.server = server or self.server

    def twin(self, server: Server) -> "LogAuthority":
        """A second server with all that this one has."""
        twin = LogAuthority(self._tag, server)
        twin.log, twin.trimmed = list(self.log), self.trimmed
        return twin

    def _at(self, revision: int) -> Head | None:
        if not 0 < revision <= len(self.log):
            return None
        changeset = self.log[revision - 1]
        return Head(changeset.version, changeset.digest)


def stored(head: Head) -> StoredHead:
    """In the store's terms."""
    return StoredHead(StoredVersion(*head.version), head.digest)


class LogReplica:
    """A node's copy. ``log_max`` is how many changesets its log keeps for others."""

    def __init__(self, log_max: int = 10_000) -> None:
        self._log_max = log_max
        self._log: list[Changeset] = []
        self._start = EMPTY
        """The head before the first changeset of the log."""
        self.state: list[bytes] = []
        """Every body since the beginning, in order."""
        self.authority_answers: Callable[[], bool] = lambda: False
        """Whether its node can read a higher epoch at its own authority."""

    def head(self) -> tuple[Version, bytes]:
        if not self._log:
            return self._start
        return self._log[-1].version, self._log[-1].digest

    def reach(self, version: Version) -> Reach:
        return "reached" if self.head()[0] >= version else "behind"

    def size(self) -> int:
        """Nothing: its whole state is its log."""
        return 0

    def digest(self, version: Version) -> bytes | None:
        if version == self.head()[0]:
            return self.head()[1]
        held = (one.digest for one in self._log if one.version == version)
        return next(held, None)

    def state_hash(self, version: Version) -> bytes | None:
        """The chain covers the state here."""
        return None if self.digest(version) is None else b""

    def audit(self) -> Generator[None, None, bool]:
        yield
        return True

    def offer(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        """What gossip brings (``node.agent.serving``)."""
        if version[0] > self.head()[0][0] > 0 and self.authority_answers():
            return "unconfirmed"
        return self.take(version, predecessor, digest, body)

    def take(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        """What the authority has confirmed."""
        mine, mine_digest = self.head()
        if version <= mine:
            held = [changeset for changeset in self._log if changeset.version == version]
            return "forked" if held and held[0].digest != digest else "known"
        if chain(predecessor, body) != digest:
            return "corrupt"
        if predecessor != mine_digest:
            return "forked" if version[2] <= mine[2] + 1 else "early"
        self._log.append(Changeset(version, predecessor, digest, body))
        self.state.append(body)
        self._trim()
        return "applied"

    def changesets(
        self, after: Version, digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        if (after, digest) == self._start:
            begin = 0
        else:
            heads = [(changeset.version, changeset.digest) for changeset in self._log]
            if (after, digest) not in heads:
                return [] if after > self.head()[0] else None
            begin = heads.index((after, digest)) + 1
        chosen: list[Changeset] = []
        for changeset in self._log[begin:]:
            max_bytes -= len(changeset.body)
            if max_bytes < 0 and chosen:
                break
            chosen.append(changeset)
        return chosen

    def load(self, log: Sequence[Changeset]) -> None:
        """Take over what the authority has above this head: the log here begins anew."""
        if log:
            self.state += [changeset.body for changeset in log]
            self._begin_log(Head(log[-1].version, log[-1].digest))

    def give(self) -> "LogGiving":
        return LogGiving(Head(*self.head()), tuple(self.state))

    def begin_install(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> "LogInstallation":
        return LogInstallation(self, Head(version, digest))

    def begin_reconcile(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> "LogReconciliation":
        return LogReconciliation()

    def replace(self, head: Head, state: list[bytes]) -> None:
        """Take over a whole state: the log here begins anew."""
        self.state = state
        self._begin_log(head)

    def keep_log(self, count_max: int) -> None:
        """Keep so many changesets for others from now on."""
        self._log_max = count_max

    def copy(self) -> "LogReplica":
        """The same, apart from this one: a disk's image."""
        copied = LogReplica(self._log_max)
        copied._log, copied._start, copied.state = list(self._log), self._start, list(self.state)
        return copied

    def forget(self, count: int) -> None:
        """Lose the last changesets, as far as the log goes: they were not synced."""
        for _ in range(min(count, len(self._log))):
            self._log.pop()
            self.state.pop()

    def _begin_log(self, head: Head) -> None:
        self._start = head
        self._log.clear()

    def _trim(self) -> None:
        while len(self._log) > self._log_max:
            oldest = self._log.pop(0)
            self._start = Head(oldest.version, oldest.digest)


class LogGiving:
    """All bodies since the beginning, for others."""

    def __init__(self, head: Head, state: Sequence[bytes]) -> None:
        self.head = head
        self.state_hash = b""
        self._state = state

    def slices(self, slice_bytes: int, resume: bytes = b"") -> Iterator[bytes]:
        begin = int(resume or b"0")
        if not 0 <= begin <= len(self._state):
            raise ValueError("not a place among the bodies")
        return self._slices(begin, slice_bytes)

    def answer(self, question: bytes) -> bytes | None:
        raise ValueError("nothing is asked here: whole states are taken")

    def work(self) -> bool:
        return False

    def _slices(self, begin: int, slice_bytes: int) -> Iterator[bytes]:
        size = 0
        for end in range(begin, len(self._state)):
            if size >= slice_bytes:
                yield msgpack.packb(self._state[begin:end])
                begin, size = end, 0
            size += len(self._state[end])
        yield msgpack.packb(self._state[begin:])


class LogReconciliation:
    """A log differs from its beginning on or not at all: whole states are taken instead."""

    def proceed(self, answer: bytes = b"") -> bytes | Step:
        return "large"

    def finish(self) -> Outcome:
        raise AssertionError("it is never ready")

    def abandon(self) -> None:
        pass


class LogInstallation:
    """All bodies since the beginning, on their way into a replica."""

    def __init__(self, replica: LogReplica, head: Head) -> None:
        self._replica = replica
        self._head = head
        self._state: list[bytes] = []
        self._reached = bytes(32)

    def feed(self, data: bytes) -> bool:
        try:
            for body in msgpack.unpackb(data):
                self._reached = chain(self._reached, body)
                self._state.append(body)
        except (ValueError, TypeError):
            return False
        return True

    def resume(self) -> bytes:
        return b"%d" % len(self._state)

    def finish(self) -> Outcome:
        if self._head.version <= self._replica.head()[0]:
            return "stale"
        if self._reached != self._head.digest or len(self._state) != self._head.version[2]:
            return "corrupt"
        self._replica.replace(self._head, self._state)
        return "installed"

    def abandon(self) -> None:
        self._state.clear()
