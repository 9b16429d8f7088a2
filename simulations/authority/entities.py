"""The real replica in a simulated node, over the model of the authority: its bodies hold entities.

``EntityReplica`` is ``store.replica.Replica`` with what the world does to a node's disk and memory.
"""

import random
from collections.abc import Callable, Generator, Sequence
from typing import Any

from gossip.replica import Changeset, Giving, Installation, Reach, Reconciliation, Verdict, Version
from gossip.replica import Head as GossipHead
from store.authority import State
from store.changelog import Changelog
from store.changeset import Body, Change, decode_body, encode_body
from store.changeset import Changeset as StoreChangeset
from store.limits import SKETCH_SYMBOLS_MAX
from store.replica import Replica
from store.version import EMPTY, Head
from store.version import Version as StoreVersion

AUTHORITY_ID = "simulated"


def body_of(changes: Sequence[tuple[str, str, str | None]]) -> bytes:
    """The body of a changeset with these changes."""
    return encode_body(Body(bytes(16), 0.0, "", tuple(Change(*change) for change in changes)))


def random_body(rng: random.Random, entities: int) -> bytes:
    """The body of one that changes or deletes one of so many entities, or makes it."""
    name = f'{{"name":"{rng.getrandbits(32):08x}"}}'
    text = None if rng.random() < 0.2 else name
    return body_of([("services", f"{rng.randrange(entities):08d}", text)])


class EntityReplica:
    """A node's copy, in its memory and, as it is, on its disk."""

    def __init__(self, symbols_max: int = SKETCH_SYMBOLS_MAX) -> None:
        self._replica = Replica(AUTHORITY_ID, symbols_max=symbols_max)
        self.authority_answers: Callable[[], bool] = lambda: False
        """Whether its node can read a higher epoch at its own authority."""
        self.refuses: Version | None = None
        """A version that this node's software can't apply."""

    @property
    def state(self) -> list[bytes]:
        """All entities, in order."""
        return [
            f"{kind} {entity_id} ".encode() + text
            for kind, entity_id, text in self._replica.pin().rows()
        ]

    def head(self) -> tuple[Version, bytes]:
        return self._replica.head()

    def reach(self, version: Version) -> Reach:
        return self._replica.reach(version)

    def size(self) -> int:
        return self._replica.size()

    def digest(self, version: Version) -> bytes | None:
        return self._replica.digest(version)

    def state_hash(self, version: Version) -> bytes | None:
        return self._replica.state_hash(version)

    def audit(self) -> Generator[None, None, bool]:
        return self._replica.audit()

    def offer(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        """What gossip brings (``node.agent.serving``)."""
        if version[0] > self.head()[0][0] > 0 and self.authority_answers():
            return "unconfirmed"
        return self.take(version, predecessor, digest, body)

    def take(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        """What the authority has confirmed."""
        fits = predecessor == self.head()[1]
        if version == self.refuses and fits:
            return "poison"
        return self._replica.offer(version, predecessor, digest, body)

    def changesets(
        self, after: Version, digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        return self._replica.changesets(after, digest, max_bytes)

    def give(self) -> Giving:
        return self._replica.give()

    def begin_install(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Installation:
        return self._replica.begin_install(version, digest, state_hash, renew=renew)

    def begin_reconcile(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Reconciliation:
        return self._replica.begin_reconcile(version, digest, state_hash, renew=renew)

    # What the authority and the world do

    def load(self, log: Sequence[Changeset]) -> None:
        """Take over what the authority has above this head: the log here begins anew."""
        if log:
            for changeset in log:
                version = StoreVersion(*changeset.version)
                self._replica.apply(StoreChangeset(version, *changeset[1:]))
            self._begin_log()

    def replace(self, head: GossipHead, state: Sequence[bytes]) -> None:
        """Take over the whole state of the authority, which is all bodies since its beginning."""
        entities: dict[tuple[str, str], Change] = {}
        for body in state:
            entities |= {change[:2]: change for change in decode_body(body).changes}
        kept = tuple(change for change in entities.values() if change.entity is not None)
        version = StoreVersion(*head.version)
        self._replica.load(State(Head(version, head.digest), kept))

    def keep_log(self, count_max: int) -> None:
        """Keep so many changesets for others from now on."""
        self._replica._log._count_max = count_max

    def copy(self) -> "EntityReplica":
        """The same, apart from this one: a disk's image."""
        copied = EntityReplica()
        if self.head()[0] != EMPTY.version:
            copied._replica.load(self._whole())
        return copied

    def forget(self, count: int) -> None:
        """Lose what wasn't synced: nothing here, a disk is another's subject."""

    def damage(self, rng: random.Random) -> bool:
        """Change one entity, as a fault of memory does, or code that writes astray: nothing else
        notices. False when there is none."""
        found = self._place(rng)
        if found is None:
            return False
        chunk, place = found
        # Not in place: views that others have pinned share the list, and are well.
        texts = [*chunk.texts]
        texts[place] = b'{"name":"damaged"}'
        chunk.texts = texts
        return True

    def lose(self, rng: random.Random) -> bool:
        """Lose one entity in the same way."""
        found = self._place(rng)
        if found is None:
            return False
        chunk, place = found
        for column in ("ids", "texts", "keys"):
            left = [*getattr(chunk, column)]
            del left[place]
            setattr(chunk, column, left)
        return True

    def _place(self, rng: random.Random) -> tuple[Any, int] | None:
        tables = self._replica._contents._tables
        chunks = [chunk for kind in sorted(tables) for chunk in tables[kind]._rows._chunks]
        able = [chunk for chunk in chunks if len(chunk.ids) > 1]
        if not able:
            return None
        chunk = rng.choice(able)
        return chunk, rng.randrange(len(chunk.ids))

    def misapply(self, rng: random.Random) -> bool:
        """Change an entity as code that is wrong does: this replica's own hash agrees with it."""
        rows = list(self._replica.pin().rows())
        if not rows:
            return False
        kind, entity_id, _ = rng.choice(rows)
        contents, head = self._replica._contents, self._replica._head
        contents.apply([contents.prepare(Change(kind, entity_id, '{"name":"misapplied"}'))])
        self._replica._hashes.note(head.version, contents.state_hash())
        return True

    def is_sound(self) -> bool:
        """Whether what lies in memory gives its own state hash."""
        steps = self.audit()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return bool(end.value)

    def _whole(self) -> State:
        version, digest = self.head()
        return State(Head(StoreVersion(*version), digest), tuple(self._replica.changes()))

    def _begin_log(self) -> None:
        # Not by loading what is held: what is damaged would come out as sound.
        self._replica._log = Changelog(self._replica._head)
