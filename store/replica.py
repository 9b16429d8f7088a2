"""The replica: a node's cache of the authority, in memory.

It holds the stored texts of all entities at exactly one version, and the changesets that led to it
as far back as the bounds allow, for peers that lag. A changeset is applied whole or not at all, and
only if it is the very next one of the history held here (DESIGN 1, P2). Kinds that this version
doesn't know are kept, listed by id and passed on as they are.

Nothing here takes longer the more is held: changes cost what they change, views of the whole are
pinned, whole states come in and go out in slices, between which the caller does other things.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

from store.authority import Entity, Page, Query, State
from store.canonical import decode_entity
from store.changelog import Changelog, Verdict
from store.changeset import BODY_BYTES_MAX, Body, Change, Changeset, chain, decode_body
from store.contents import Contents, PinnedState, Prepared
from store.giving import Giving
from store.history import Epoch, Reach
from store.installation import Installation, Loading
from store.limits import RELEASED_STATES_MAX, SKETCH_SYMBOLS_MAX
from store.lineage import reach
from store.preparation import Preparation, is_large
from store.reconcile import Reconciliation
from store.sketch import sketch_key
from store.state_hashes import StateHashes
from store.version import EMPTY, Head, Version

__all__ = ["Replica", "Verdict"]


Rows = tuple[tuple[str, str], ...]


class Applied(NamedTuple):
    """A changeset that was applied, and what it says."""

    changeset: Changeset
    body: Body
    """With the first changes only, where it is large."""
    total: int
    """All changes."""

    @property
    def is_large(self) -> bool:
        """Whether the body isn't all."""
        return self.total > len(self.body.changes)


class Replica:
    """Satisfies ``gossip.replica.Replica``, which this package doesn't import."""

    def __init__(self, authority_id: str, *, symbols_max: int = SKETCH_SYMBOLS_MAX) -> None:
        self.authority_id = authority_id
        """Of the authority that this is a copy of; empty while none is known."""
        self._symbols_max = symbols_max
        """Of a peer's sketch so many are asked for before what differs is found by ranges."""
        self._head = EMPTY
        self._log = Changelog(EMPTY)
        self._contents = Contents()
        self._hashes = StateHashes(EMPTY.version, self._contents.state_hash())
        self._preparation: Preparation | None = None
        self._settling: Iterator[None] | None = None
        """What a preparation has left to do that doesn't show."""
        self._latest: Applied | None = None
        self._released: deque[Iterator[None]] = deque(maxlen=RELEASED_STATES_MAX)
        """What was replaced, and is taken apart step by step; too many of them go at once."""

    def __len__(self) -> int:
        """How many entities are held."""
        return len(self._contents)

    def size(self) -> int:
        """How many entities are held."""
        return len(self._contents)

    def head(self) -> Head:
        """The version held, and its chain digest."""
        return self._head

    @property
    def changelog(self) -> Changelog:
        """The changesets that led here; another one once the whole state is replaced."""
        return self._log

    def reach(self, version: tuple[int, int, int]) -> Reach:
        """How the head stands towards a version that somebody committed."""
        same_epoch = tuple(self._head.version[:2]) == tuple(version[:2])
        return reach(self._head.version, Version(*version), () if same_epoch else self.epochs())

    def heads(self, count_max: int) -> Sequence[Head]:
        """The heads that the log kept here remembers, newest first: at most so many."""
        return self._log.heads(count_max)

    def epochs(self) -> Sequence[Epoch]:
        """The raised epochs of the history held here, newest first."""
        return self._contents.epochs()

    def state_hash(self, version: tuple[int, int, int] | None = None) -> bytes | None:
        """The state hash (32 bytes) at one of the latest versions, by default the one held.

        None for a version that isn't remembered.
        """
        return self._hashes.of(self._head.version if version is None else Version(*version))

    def offer(
        self, version: tuple[int, int, int], predecessor: bytes, digest: bytes, body: bytes
    ) -> Verdict:
        """Check a changeset and apply it if it is the very next one.

        A large one is prepared beside what is held, a little with each call, and applied by the
        last of them: ``preparing`` until then. What is held doesn't change meanwhile, except that
        it may be replaced; then the preparation begins anew.
        """
        offered = Changeset(Version(*version), predecessor, digest, body)
        verdict = self._log.judge(offered, self._head)
        if verdict != "applied":
            return verdict
        if len(body) > BODY_BYTES_MAX:
            return "corrupt"
        if self._preparation is not None:
            return self._go_on(offered)
        if is_large(body):
            self._preparation = Preparation(self._contents, offered)
            return "preparing"
        if chain(predecessor, body) != digest:
            return "corrupt"
        try:
            read = decode_body(body)
            prepared = [self._contents.prepare(change) for change in read.changes]
        except Exception:  # whatever the code of a kind makes of an entity that others could read
            return "poison"
        self._contents.apply(prepared)
        self._applied(offered, read, len(read.changes))
        return "applied"

    def apply(self, changeset: Changeset) -> Verdict:
        """Offer a changeset until that is settled, however long it takes."""
        while (verdict := self.offer(*changeset)) == "preparing":
            pass
        return verdict

    @property
    def preparing(self) -> Changeset | None:
        """The large changeset that is being prepared."""
        return None if self._preparation is None else self._preparation.changeset

    def take_latest(self) -> Applied | None:
        """The changeset that was applied last, unless it was taken before."""
        latest, self._latest = self._latest, None
        return latest

    def _go_on(self, offered: Changeset) -> Verdict:
        """Prepare some more of a changeset. Another one that would follow the head, too, is judged
        when that is done: of two such at most one is of the authority's history."""
        preparation = self._preparation
        assert preparation is not None, "nothing is being prepared"
        progress = preparation.proceed()
        if progress == "preparing":
            return "preparing"
        self._preparation = None
        if progress == "ready":
            preparation.swap()
            self._settling = self._contents.settle()
            self._applied(preparation.changeset, *preparation.told())
        if preparation.changeset != offered:
            return "preparing"
        return "applied" if progress == "ready" else progress

    def _applied(self, changeset: Changeset, body: Body, total: int) -> None:
        """The contents are what this changeset has made of them."""
        self._latest = Applied(changeset, body, total)
        self._head = Head(changeset.version, changeset.digest)
        self._log.append(changeset)
        self._hashes.note(changeset.version, self._contents.state_hash())

    def changesets(
        self, after: tuple[int, int, int], digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        """The changesets that follow the head (after, digest), oldest first.

        At most ``max_bytes`` of bodies, but always one if there is one. Empty when there is nothing
        newer. None when the log kept here doesn't reach back to it or never held that digest.
        """
        return self._log.since(Head(Version(*after), digest), max_bytes)

    def pin(self) -> PinnedState:
        """Everything as it is now. What is applied later doesn't show in it."""
        return self._contents.pin(self._head)

    def digest(self, version: tuple[int, int, int]) -> bytes | None:
        """The chain digest (32 bytes) at a version of the history that led here; None for one that
        isn't held any more, or never was."""
        if tuple(version) == self._head.version:
            return self._head.digest
        return self._log.digest(Version(*version))

    def audit(self) -> Generator[None, None, bool]:
        """Hash what lies in memory anew, some at each step: whether it is what it should be."""
        return self.pin().audit()

    def give(self) -> Giving:
        """Everything at the head of now, for peers."""
        return Giving(self.pin(), sketch_key(self.authority_id))

    def begin_install(
        self,
        version: tuple[int, int, int],
        digest: bytes,
        state_hash: bytes,
        *,
        renew: bool = False,
    ) -> Installation:
        """Begin to take in a peer's snapshot at this head, beside what is held; it must come out at
        the state hash.

        With ``renew`` it replaces what is held even if that is as new, or newer.
        """
        return Installation(self, Head(Version(*version), digest), state_hash, renew=renew)

    def begin_reconcile(
        self,
        version: tuple[int, int, int],
        digest: bytes,
        state_hash: bytes,
        *,
        renew: bool = False,
    ) -> Reconciliation:
        """Begin to find what differs from a peer's state at this head."""
        head, key = Head(Version(*version), digest), sketch_key(self.authority_id)
        return Reconciliation(
            self, self.pin(), key, head, state_hash, renew=renew, symbols_max=self._symbols_max
        )

    def begin_load(self, head: Head) -> Loading:
        """Begin to take in a whole state that the authority was read for, beside what is held."""
        return Loading(self, head)

    def load(self, state: State, log: Changelog | None = None) -> None:
        """Replace everything by a whole state at once, whatever its version.

        ``log`` has the changesets that led to it; without one, the log kept begins at it.

        Raises ValueError, and changes nothing, when an entity in it can't be read.
        """
        loading = self.begin_load(state.head)
        try:
            loading.add(state.entities)
        except ValueError:
            loading.abandon()
            raise
        loading.finish(log)

    def replace(self, head: Head, contents: Contents, log: Changelog | None = None) -> None:
        """Hold these contents at this head from now on: the end of taking in a whole state."""
        self._give_way(contents)
        self._head = head
        self._log = Changelog(head) if log is None else log
        self._hashes = StateHashes(head.version, contents.state_hash())

    def renew(self, contents: Contents) -> None:
        """Hold these contents from now on; they are at the head, and as they should be."""
        self._give_way(contents)
        self._hashes = StateHashes(self._head.version, contents.state_hash())

    def mend(self, head: Head, changes: Iterable[Prepared]) -> None:
        """Make these changes, which lead from the head to this one, in one go."""
        self._preparation = None
        self._contents.apply(changes)
        self._head = head
        self._log = Changelog(head)
        self._hashes = StateHashes(head.version, self._contents.state_hash())

    def _give_way(self, contents: Contents) -> None:
        self._preparation = self._settling = None
        self.release(self._contents)
        self._contents = contents

    def release(self, contents: Contents) -> None:
        """Let go of contents that nobody needs any more, by and by."""
        self._released.append(contents.dismantle())

    def tidy(self) -> bool:
        """Take apart some of what was let go of, or put in order some of what a large changeset has
        left; False when nothing is left of it.

        A million entities aren't freed in a moment: whoever replaces a whole state, or has applied
        a large changeset, calls this until nothing is left, and does other things in between.
        """
        if self._settling is not None:
            if next(self._settling, "settled") == "settled":
                self._settling = None
        elif self._released:
            try:
                next(self._released[0])
            except StopIteration:
                self._released.popleft()
        return bool(self._released) or self._settling is not None

    def get(self, kind: str, key: str) -> Entity | None:
        """One entity by id or endpoint key; a copy that the caller may change."""
        text = self._contents.get(kind, key)
        return None if text is None else decode_entity(text.decode())

    def find_by(self, kind: str, field: str, value: str) -> Entity | None:
        """One entity by the value of a unique field; a copy that the caller may change."""
        text = self._contents.find_by(kind, field, value)
        return None if text is None else decode_entity(text.decode())

    def rows_by(self, kind: str, field: str, value: str, count_max: int) -> Rows:
        """(id, stored text) of the entities with this value in the id, a unique field or a
        reference."""
        rows = self._contents.rows_by(kind, field, value, count_max)
        return tuple((entity_id, text.decode()) for entity_id, text in rows)

    def variants(self, kind: str) -> Sequence[str]:
        """Which plugins there are any of, of the kind ``plugins``; however many there are."""
        return self._contents.variants(kind)

    def list(self, query: Query) -> Page:
        """One page, ordered by id, of what the authority would answer at this version.

        Raises EntityError code 9 for a size out of range.
        """
        return self._contents.page(query)

    def changes(self) -> Iterator[Change]:
        """Everything, by kind and id, as it is now."""
        return self.pin().changes()
