"""What a replica holds at one version: the entities of all kinds, and their state hash.

The one that is served changes by whole changesets. A shadow is filled slice by slice beside it, and
takes its place whole.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple

from store.authority import Page, Query
from store.changeset import Change
from store.entity_table import EntityTable, ShadowTable
from store.history import EPOCHS, Epoch
from store.limits import FILLED_AT_ONCE, SKETCH_STEP_ENTITIES
from store.lineage import decode_records
from store.sorted_rows import PinnedRows, Row
from store.state_hash import StateSum, element, identify
from store.version import Head


class Prepared(NamedTuple):
    """A change that has been read and can't fail any more."""

    kind: str
    id: str
    row: Row | None
    message: bytes
    """What is hashed of it; empty for a deletion."""


class PinnedState:
    """Everything at one head, to be read however slowly; it costs what changes meanwhile."""

    def __init__(self, head: Head, state_hash: bytes, rows: dict[str, PinnedRows]) -> None:
        self.head = head
        self.state_hash = state_hash
        self._rows = rows
        """By kind, in order."""

    def __len__(self) -> int:
        """How many entities there are."""
        return sum(len(rows) for rows in self._rows.values())

    def changes(
        self, leave_out: Collection[str] = (), after: tuple[str, str] | None = None
    ) -> Iterator[Change]:
        """Every entity with its stored text, by kind and id; those above ``after``, without those
        of some kinds."""
        for kind, entity_id, text in self.rows(after, leave_out):
            yield Change(kind, entity_id, text.decode())

    def counts(self, leave_out: Collection[str] = ()) -> dict[str, int]:
        """How many entities there are of each kind; without those of some kinds."""
        return {kind: len(rows) for kind, rows in self._rows.items() if kind not in leave_out}

    def rows(
        self, after: tuple[str, str] | None = None, leave_out: Collection[str] = ()
    ) -> Iterator[tuple[str, str, bytes]]:
        """(kind, id, stored text as UTF-8), by kind and id; those above ``after``, without those of
        some kinds."""
        for kind, rows in self._rows.items():
            if kind in leave_out:
                continue
            if after is None or kind > after[0]:
                items = rows.items()
            elif kind == after[0]:
                items = rows.items(after[1])
            else:
                continue
            for entity_id, text in items:
                yield kind, entity_id, text

    def get(self, kind: str, entity_id: str) -> bytes | None:
        """The stored text of one entity."""
        rows = self._rows.get(kind)
        return None if rows is None else rows.get(entity_id)

    def let_go(self) -> Iterator[None]:
        """Hold nothing any more; of much that nobody else needs, some at each step."""
        for rows in self._rows.values():
            yield from rows.let_go()

    def audit(self) -> Generator[None, None, bool]:
        """Hash every entity anew, some at each step; whether that gives the state hash which was
        kept change by change. False: memory or our own code is damaged (DESIGN 5, audits)."""
        total = StateSum()
        for number, row in enumerate(self.rows(), start=1):
            total.add(element(identify(*row)))
            if number % SKETCH_STEP_ENTITIES == 0:
                yield
        return total.digest() == self.state_hash


class Contents:
    """Starts empty."""

    def __init__(self) -> None:
        self._tables: dict[str, EntityTable] = {}
        self._sum = StateSum()

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables.values())

    def state_hash(self) -> bytes:
        """Of what is held now (32 bytes)."""
        return self._sum.digest()

    def prepare(self, change: Change) -> Prepared:
        """Read a change, without effect. Raises ValueError for an entity that can't be read."""
        kind, entity_id, text = change
        if text is None:
            return Prepared(kind, entity_id, None, b"")
        table = self._tables.get(kind)
        row = (EntityTable(kind) if table is None else table).read(text)
        return Prepared(kind, entity_id, row, identify(kind, entity_id, row.text))

    def apply(self, changes: Iterable[Prepared]) -> None:
        """Put prepared changes into effect."""
        for kind, entity_id, row, message in changes:
            table = self._writable(kind, needed=row is not None)
            if table is None:
                continue
            text = table.put(entity_id, row)
            old = b"" if text is None else identify(kind, entity_id, text)
            if old != message:
                self._note(old, message)

    def fill(self, entities: Iterable[Change]) -> None:
        """Put entities in, as ``apply`` of each would. Those that come by kind and id, behind all
        that is held of their kind, as a whole state does, cost less.

        Raises ValueError for one that can't be read; some of those before it are in then.
        """
        for kind, of_kind in groupby(entities, key=itemgetter(0)):
            while part := list(islice(of_kind, FILLED_AT_ONCE)):
                self._fill(kind, part)

    def _fill(self, kind: str, entities: Sequence[Change]) -> None:
        table = self._writable(kind, needed=True)
        assert table is not None
        rows: dict[str, Row] = {}
        for _, entity_id, text in entities:
            if text is None:
                raise ValueError(f"a state with a deletion ({kind} {entity_id})")
            rows[entity_id] = table.read(text)
        if len(rows) < len(entities) or not table.extend(rows):
            self.apply([self.prepare(entity) for entity in entities])
            return
        add = self._sum.add
        for entity_id, row in rows.items():
            add(element(identify(kind, entity_id, row.text)))

    def shadow(self) -> "Shadow":
        """The same, to be changed apart from this, which stays as it is meanwhile."""
        return Shadow(self._tables, self._sum)

    def take_over(self, shadow: "Shadow") -> None:
        """Be as a shadow of this is, at once; the shadow isn't used any more."""
        for kind, table in shadow.shadows.items():
            self._tables.setdefault(kind, EntityTable(kind)).take_over(table)
        self._sum = shadow._sum

    def settle(self) -> Iterator[None]:
        """Get over having taken over a shadow, some at each step; nothing else changes by that."""
        for table in [*self._tables.values()]:
            yield from table.settle()

    def _writable(self, kind: str, *, needed: bool) -> EntityTable | None:
        """The table of a kind, to be changed; None where there is none, unless it is needed."""
        table = self._tables.get(kind)
        if table is None and needed:
            table = self._tables[kind] = EntityTable(kind)
        return table

    def _note(self, gone: bytes, came: bytes) -> None:
        """Keep the state hash up to date."""
        if gone:
            self._sum.subtract(element(gone))
        if came:
            self._sum.add(element(came))

    def get(self, kind: str, key: str) -> bytes | None:
        """The text of one entity by id or endpoint key."""
        table = self._tables.get(kind)
        return None if table is None else table.find(key)

    def find_by(self, kind: str, field: str, value: str) -> bytes | None:
        """The text of the entity with this value in a unique field."""
        table = self._tables.get(kind)
        return None if table is None else table.find_by(field, value)

    def rows_by(self, kind: str, field: str, value: str, count_max: int) -> list[tuple[str, bytes]]:
        """(id, text) of the entities with this value in the id, a unique field or a reference."""
        table = self._tables.get(kind)
        return [] if table is None else table.rows_by(field, value, count_max)

    def variants(self, kind: str) -> list[str]:
        """See ``EntityTable.variants``."""
        table = self._tables.get(kind)
        return [] if table is None else table.variants()

    def page(self, query: Query) -> Page:
        """See ``Replica.list``."""
        return self._tables.get(query.kind, EntityTable(query.kind)).page(query)

    def epochs(self) -> tuple[Epoch, ...]:
        """What the records of raised epochs say, the newest first."""
        table = self._tables.get(EPOCHS)
        texts = () if table is None else (text.decode() for _, text in table.pin().items())
        return tuple(sorted(decode_records(texts), key=lambda epoch: -epoch.epoch))

    def pin(self, head: Head) -> PinnedState:
        """A view of everything as it is now, which is at this head."""
        rows = {kind: self._tables[kind].pin() for kind in sorted(self._tables)}
        return PinnedState(head, self.state_hash(), rows)

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, some at each step."""
        while self._tables:
            yield from self._tables.popitem()[1].dismantle()


class Shadow(Contents):
    """Contents as they will be: of the kinds that change, what changes."""

    def __init__(self, base: Mapping[str, EntityTable], total: StateSum) -> None:
        super().__init__()
        self._base = base
        self._sum = total.copy()
        self.shadows: dict[str, ShadowTable] = {}
        """By kind."""

    def _writable(self, kind: str, *, needed: bool) -> EntityTable | None:
        shadow = self.shadows.get(kind)
        base = self._base.get(kind)
        if shadow is None and (needed or base is not None):
            shadow = self.shadows[kind] = (base or EntityTable(kind)).shadow()
        return shadow
