"""The replica: a node's cache of the authority, in memory.

It holds the stored texts of all entities at exactly one version, and the changesets that led to it
as far back as the bounds allow, for peers that lag. A changeset is applied whole or not at all, and
only if it is the very next one of the history held here (DESIGN 1, P2). Kinds that this version
doesn't know are kept, listed by id and passed on as they are.
"""

from collections.abc import Iterator, Sequence

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

    def load(self, state: State) -> None:
        """Replace everything by a whole state, whatever its version.

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
        self._log = Changelog(state.head)

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
