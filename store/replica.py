"""The replica: a node's cache of the authority, in memory.

It holds the stored texts of all entities at exactly one version, and the changesets that led to it
as far back as the bounds allow, for peers that lag. A changeset is applied whole or not at all, and
only if it is the very next one of the history held here (DESIGN 1, P2). Kinds that this version
doesn't know are kept, listed by id and passed on as they are.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgpack
from blake3 import blake3

from store.authority import Entity, Page, Query, State
from store.canonical import decode_entity
from store.changelog import Changelog, Verdict
from store.changeset import BODY_BYTES_MAX, Change, Changeset, chain, decode_body
from store.entity_table import EntityTable
from store.version import EMPTY, Head, Version

__all__ = ["Replica", "Verdict"]


class Replica:
    """Satisfies ``gossip.replica.Replica``, which this package doesn't import."""

    def __init__(self, authority_id: str) -> None:
        self.authority_id = authority_id
        """Of the authority that this is a copy of; empty while none is known."""
        self._head = EMPTY
        self._log = Changelog(EMPTY)
        self._tables: dict[str, EntityTable] = {}

    def __len__(self) -> int:
        """How many entities are held."""
        return sum(len(table) for table in self._tables.values())

    def head(self) -> tuple[Version, bytes]:
        """The version held, and its chain digest."""
        return self._head

    def offer(
        self, version: tuple[int, int, int], predecessor: bytes, digest: bytes, body: bytes
    ) -> Verdict:
        """Check a changeset and apply it if it is the very next one."""
        offered = Changeset(Version(*version), predecessor, digest, body)
        verdict = self._log.judge(offered, self._head)
        if verdict != "applied":
            return verdict
        if len(body) > BODY_BYTES_MAX or chain(predecessor, body) != digest:
            return "corrupt"
        try:
            changes = decode_body(body).changes
            decoded = [_decoded(change) for change in changes]
        except ValueError:
            return "corrupt"
        for change, entity in zip(changes, decoded, strict=True):
            self._table(change.kind).put(change.id, change.entity, entity)
        self._head = Head(offered.version, digest)
        self._log.append(offered)
        return "applied"

    def changesets(
        self, after: tuple[int, int, int], digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        """The changesets that follow the head (after, digest), oldest first.

        At most ``max_bytes`` of bodies, but always one if there is one. Empty when there is nothing
        newer. None when the log kept here doesn't reach back to it or never held that digest.
        """
        return self._log.since(Head(Version(*after), digest), max_bytes)

    def snapshot(self, slice_bytes: int) -> Iterator[bytes]:
        """Everything at the head of now, in slices for a peer's ``install``; at least one.

        A slice ends once its entities have ``slice_bytes`` bytes. What is applied later doesn't
        show in it. The same state at the same head gives the same slices.
        """
        # Not a generator itself: the state must be pinned by the call, not by the first slice.
        pinned = [(kind, list(self._tables[kind].items())) for kind in sorted(self._tables)]
        entities = ((kind, *item) for kind, items in pinned for item in items)
        return _encode_slices(self._head, entities, slice_bytes)

    def install(
        self, version: tuple[int, int, int], digest: bytes, slices: Sequence[bytes]
    ) -> Literal["installed", "stale", "corrupt"]:
        """Replace everything by a peer's snapshot at this head: whole or not at all.

        ``stale``: the version isn't above the head. ``corrupt``: the slices are damaged, not all of
        them, not in order, of another head, or hold what can't be read. Afterwards the log kept
        here begins at that head.
        """
        head = Head(Version(*version), digest)
        if head.version <= self._head.version:
            return "stale"
        try:
            self.load(State(head, tuple(_decode_slices(head, slices))))
        except ValueError:
            return "corrupt"
        return "installed"

    def load(self, state: State, log: Changelog | None = None) -> None:
        """Replace everything by a whole state, whatever its version. ``log`` has the changesets
        that led to it; without one, the log kept here begins at it.

        Raises ValueError, and changes nothing, when an entity in it can't be read.
        """
        tables: dict[str, EntityTable] = {}
        for change in state.entities:
            if change.entity is None:
                raise ValueError(f"a state with a deletion ({change.kind} {change.id})")
            table = tables.setdefault(change.kind, EntityTable(change.kind))
            table.put(change.id, change.entity, _decoded(change))
        self._tables = tables
        self._head = state.head
        self._log = Changelog(state.head) if log is None else log

    def get(self, kind: str, key: str) -> Entity | None:
        """One entity by id or endpoint key; a copy that the caller may change."""
        table = self._tables.get(kind)
        text = table.find(key) if table is not None else None
        return decode_entity(text) if text is not None else None

    def list(self, query: Query) -> Page:
        """One page, ordered by id, of what the authority would answer at this version.

        Raises EntityError code 9 for a size out of range.
        """
        return self._tables.get(query.kind, EntityTable(query.kind)).page(query)

    def changes(self) -> Iterator[Change]:
        """Everything, by kind and id, as it is now: what a new worker needs."""
        everything = [
            Change(kind, entity_id, text)
            for kind in sorted(self._tables)
            for entity_id, text in self._tables[kind].items()
        ]
        return iter(everything)

    def _table(self, kind: str) -> EntityTable:
        table = self._tables.get(kind)
        if table is None:
            table = self._tables[kind] = EntityTable(kind)
        return table


def _decoded(change: Change) -> Entity | None:
    return None if change.entity is None else decode_entity(change.entity)


_MARK_BYTES = 32


def _encode_slices(
    head: Head, ordered: Iterable[tuple[str, str, str]], slice_bytes: int
) -> Iterator[bytes]:
    """A slice is a mark (32 bytes) and msgpack of ``[last, [[kind, id, text], …]]``, in order of
    (kind, id). The mark is blake3 of the mark before and the rest; before the first is the head's.
    So a slice that is damaged, missing, moved or of another head is told for what it is.
    """
    mark = _head_mark(head)
    entities: list[bytes] = []
    size = 0
    for entity in ordered:
        if size >= slice_bytes:
            mark, data = _seal_slice(mark, entities, last=False)
            yield data
            entities, size = [], 0
        entities.append(msgpack.packb(entity))
        size += len(entities[-1])
    yield _seal_slice(mark, entities, last=True)[1]


def _decode_slices(head: Head, slices: Sequence[bytes]) -> Iterator[Change]:
    """The entities, in order. Raises ValueError for what isn't a whole snapshot at this head."""
    mark = _head_mark(head)
    previous: tuple[str, str] | None = None
    for number, data in enumerate(slices, start=1):
        payload = memoryview(data)[_MARK_BYTES:]
        mark = blake3(mark).update(payload).digest()
        if data[:_MARK_BYTES] != mark:
            raise ValueError(f"slice {number} is damaged or doesn't follow the one before")
        last, entities = _unpack_slice(payload)
        if last != (number == len(slices)):
            raise ValueError(f"slice {number} of {len(slices)} is the last one: {last}")
        for change in entities:
            if previous is not None and change[:2] <= previous:
                raise ValueError(f"{change.kind} {change.id} is out of order")
            previous = change[:2]
            yield change
    if not slices:
        raise ValueError("a snapshot without slices")


def _head_mark(head: Head) -> bytes:
    return blake3(msgpack.packb([list(head.version), head.digest])).digest()


def _seal_slice(mark: bytes, entities: Sequence[bytes], *, last: bool) -> tuple[bytes, bytes]:
    """The mark of a slice, and the slice."""
    packer = msgpack.Packer()
    header = packer.pack_array_header(2) + packer.pack(last)
    header += packer.pack_array_header(len(entities))
    payload = b"".join([header, *entities])
    mark = blake3(mark).update(payload).digest()
    return mark, mark + payload


def _unpack_slice(payload: memoryview) -> tuple[bool, list[Change]]:
    try:
        last, entities = msgpack.unpackb(payload)[:2]
        changes = [Change(*entity[:3]) for entity in entities]
    except Exception as error:  # msgpack raises a dozen kinds on garbage
        raise ValueError(f"not a slice of a snapshot: {error}") from error
    if type(last) is not bool:
        raise ValueError("not a slice of a snapshot: it doesn't say whether it is the last")
    for change in changes:
        if not all(type(field) is str for field in change):
            raise ValueError("not a slice of a snapshot: an entity without kind, id and text")
    return last, changes
