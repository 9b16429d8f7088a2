"""The rows of one transaction: as they were found, and as they are to be.

Writers that share a transaction share these. Nothing reaches the database before ``store.flush``
writes the difference, so a writer that is refused costs the others nothing: its rows are put back
in memory, and the database never saw them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from store.authority import Entity
from store.canonical import decode_entity
from store.errors import EntityError
from store.limits import BATCH_ROWS_MAX
from store.plan import Batch, Dialect, Plan, Row, Statement
from store.read import is_storable, the_head
from store.schema import Schema
from store.schema.violations import primary_key_violation

Key = tuple[str, str]
"""(kind, id)"""

Claim = tuple[str, str, str]
"""(kind, index, value): a unique value, by ``Schema.claims``."""

Reference = tuple[str, str, str]
"""(kind, id, field): a foreign key of an entity."""


class Stored(NamedTuple):
    """An entity and its canonical text."""

    text: str
    entity: Entity


class Savepoint(NamedTuple):
    """What to go back to when a writer is refused."""

    rows: dict[Key, Stored | None]
    holders: dict[Claim, str | None]
    makers: dict[Key | Claim, int]


class Raced(Exception):
    """Another node took a row or a unique value between this transaction's look and its claim.

    ``maker`` is the number of the writer whose it was to be, ``error`` what to tell it.
    """

    def __init__(self, maker: int, error: EntityError) -> None:
        super().__init__(str(error))
        self.maker = maker
        self.error = error


class Rows:
    """Rows, unique values and references as one transaction sees them.

    ``maker`` is the number of the writer at work: it is kept for what is new, so that a row or
    value which another node took at the same moment is told to the writer whose it was to be.
    """

    def __init__(self, dialect: Dialect, schemas: Callable[[str], Schema]) -> None:
        self.schemas = schemas
        self.maker = 0
        self._dialect = dialect
        self._found: dict[Key, Stored | None] = {}
        """Read and locked, or assumed."""
        self._assumed: set[Key] = set()
        """Taken for missing until the insert says otherwise."""
        self._held: set[Key] = set()
        """Locked against deletion only."""
        self._found_holders: dict[Claim, str | None] = {}
        """Read without a lock."""
        self._rows: dict[Key, Stored | None] = {}
        self._holders: dict[Claim, str | None] = {}
        self._makers: dict[Key | Claim, int] = {}
        self._shown_rows: dict[Key, tuple[Stored, int]] = {}
        self._shown_claims: dict[Claim, tuple[str, int]] = {}
        self._referrers: dict[Key, dict[Reference, None]] = {}
        """References made by this transaction, of which some may be gone again."""

    def savepoint(self) -> Savepoint:
        """Before a writer that may be refused."""
        return Savepoint(dict(self._rows), dict(self._holders), dict(self._makers))

    def roll_back(self, savepoint: Savepoint) -> None:
        """Undo what came after; what was read and locked stays so."""
        for key in [key for key in self._rows if key not in savepoint.rows]:
            if key in self._assumed:
                self._assumed.remove(key)
                del self._found[key]
        self._rows, self._holders, self._makers = savepoint

    def show(self) -> None:
        """The writer at work is through: its changeset will show the rows and unique values that it
        made, also when another writer of this transaction undoes them."""
        for key, row in self._rows.items():
            if row is not None and self._found[key] is None:
                self._shown_rows[key] = (row, self._makers[key])
        for claim, entity_id in self._holders.items():
            if entity_id is not None:
                self._shown_claims[claim] = (entity_id, self._makers[claim])

    def passing_rows(self) -> list[tuple[Key, Stored]]:
        """Rows that one writer has made and another one deleted: they must have been free."""
        return [(key, row) for key, (row, _) in self._shown_rows.items() if self.now(key) is None]

    def passing_claims(self) -> list[tuple[Claim, str]]:
        """Unique values that one writer took and another one gave away, with the taker's id."""
        return [
            (claim, entity_id)
            for claim, (entity_id, _) in self._shown_claims.items()
            if self._holders[claim] != entity_id
        ]

    def known_rows(self) -> Iterable[tuple[Key, Stored]]:
        """The rows that were found and are locked, as they were."""
        return ((key, row) for key, row in self._found.items() if row is not None)

    def found(self, key: Key) -> Stored | None:
        """As it was before the transaction."""
        return self._found[key]

    def changed(self) -> list[Key]:
        """The rows that aren't as they were found, in order."""
        return sorted(key for key, row in self._rows.items() if differ(row, self._found[key]))

    def made_by(self, made: Key | Claim) -> int:
        """The writer whose row or unique value it is to be."""
        if len(made) == 2 and self.now(made) is None:
            return self._shown_rows[made][1]
        return self._makers[made]

    def taken_by(self, passing: Claim) -> int:
        """The writer that took a unique value which another one gave away."""
        return self._shown_claims[passing][1]

    def is_known(self, key: Key) -> bool:
        """Whether the row was read, or made here."""
        return key in self._rows or key in self._found

    def now(self, key: Key) -> Stored | None:
        """A row that is known, as this transaction left it."""
        return self._rows[key] if key in self._rows else self._found[key]

    def put(self, key: Key, row: Stored | None) -> None:
        """Make a row what it is to be; None deletes it."""
        if key not in self._found:
            self._found[key] = None
            self._assumed.add(key)
        if self.now(key) is None:
            self._makers[key] = self.maker
        self._rows[key] = row
        if row is None:
            return
        for field, target in self.schemas(key[0]).references.items():
            if row.entity.get(field) is not None:
                referrers = self._referrers.setdefault((target, row.entity[field]["id"]), {})
                referrers[(*key, field)] = None

    def is_free(self, claim: Claim, entity_id: str) -> bool:
        """Whether, as far as is known, an entity may take a unique value."""
        if claim in self._holders:
            return self._holders[claim] in (None, entity_id)
        holder = self._found_holders.get(claim)
        return holder in (None, entity_id) or self._has_moved(claim, holder)

    def hold_value(self, claim: Claim, entity_id: str | None) -> None:
        """Give a unique value to an entity, or (None) back."""
        self._holders[claim] = entity_id
        self._makers[claim] = self.maker

    def give_back(self, key: Key) -> None:
        """Let anybody have the unique values of a row that is known."""
        row = self.now(key)
        if row is not None:
            for index, value in self.schemas(key[0]).claims(row.entity).items():
                self.hold_value((key[0], index, value), None)

    def find(self, claims: Iterable[Claim]) -> Plan[None]:
        """Read who has these unique values, unless it is known."""
        wanted = [
            claim
            for claim in sorted(set(claims))
            if claim not in self._found_holders and claim not in self._holders
        ]
        if not wanted:
            return
        self._found_holders |= dict.fromkeys(wanted)
        rows = yield from in_parts(
            "SELECT kind, field, value, id FROM entity_unique"
            " WHERE kind = $1 AND field = $2 AND value = $3",
            [claim for claim in wanted if is_storable(claim[2])],
        )
        for kind, field, value, entity_id in rows:
            self._found_holders[kind, field, value] = entity_id

    def holder(self, claim: Claim) -> Plan[str | None]:
        """The id that has a unique value now."""
        if claim not in self._holders:
            yield from self.find([claim])
            entity_id = self._found_holders[claim]
            if entity_id is not None and self._has_moved(claim, entity_id):
                del self._found_holders[claim]
                yield from self.find([claim])
            return self._found_holders[claim]
        return self._holders[claim]

    def _has_moved(self, claim: Claim, entity_id: str | None) -> bool:
        """Whether the row, locked after its name was read, has another name by now."""
        kind, index, value = claim
        key = (kind, entity_id or "")
        if key not in self._found:
            return False
        row = self._found[key]
        return row is None or self.schemas(kind).claims(row.entity).get(index) != value

    def lock(self, keys: Iterable[Key]) -> Plan[None]:
        """Read rows and lock them for changing, in (kind, id) order."""
        wanted = [key for key in sorted(set(keys)) if not self.is_known(key)]
        rows = yield from in_parts(
            "SELECT kind, id, body FROM entity WHERE kind = $1 AND id = $2"
            + self._dialect.for_update,
            wanted,
        )
        self._found |= dict.fromkeys(wanted)
        for kind, entity_id, text in rows:
            self._found[kind, entity_id] = Stored(text, decode_entity(text))

    def take_head(self) -> Plan[bytes]:
        """Keep everybody else from committing, from now on; the head's chain digest.

        Rows are locked before it, as by every other writer, so that nobody waits in a circle.
        """
        found = yield Statement("SELECT chain FROM head" + self._dialect.for_update)
        return bytes(the_head(found)[0])

    def peek(self, keys: Iterable[Key]) -> Plan[list[Entity]]:
        """Rows as they are now, those that exist, without a lock."""
        wanted = sorted(set(keys))
        unknown = [key for key in wanted if not self.is_known(key)]
        known = [self.now(key) for key in wanted if self.is_known(key)]
        rows = yield from in_parts("SELECT body FROM entity WHERE kind = $1 AND id = $2", unknown)
        return [row.entity for row in known if row] + [decode_entity(body) for (body,) in rows]

    def hold(self, keys: Iterable[Key]) -> Plan[None]:
        """Lock rows against deletion, in (kind, id) order; ``exists`` then says which there are."""
        wanted = [
            key for key in sorted(set(keys)) if not self.is_known(key) and key not in self._held
        ]
        rows = yield from in_parts(
            "SELECT kind, id FROM entity WHERE kind = $1 AND id = $2" + self._dialect.for_key_share,
            wanted,
        )
        self._held.update((kind, entity_id) for kind, entity_id in rows)

    def exists(self, key: Key) -> bool:
        """Whether a row that was locked or held is there."""
        return self.now(key) is not None if self.is_known(key) else key in self._held

    def children(self, parents: Sequence[Key]) -> Plan[list[tuple[Reference, Key]]]:
        """All references to these rows, which are locked: (reference, parent), in order.

        Raises Raced when another node has made a row that this transaction wants to make.
        """
        stored = yield from in_parts(
            "SELECT kind, id, field, target_kind, target_id FROM entity_reference"
            " WHERE target_kind = $1 AND target_id = $2",
            parents,
        )
        found = {}
        for kind, entity_id, field, *target in stored:
            self._learn_of((kind, entity_id))
            found[(kind, entity_id, field), (target[0], target[1])] = True
        for parent in parents:
            for made in self._referrers.get(parent, ()):
                found.setdefault((made, parent), False)
        return sorted(item for item, is_stored in found.items() if self._refers(*item, is_stored))

    def _learn_of(self, key: Key) -> None:
        """A row is there. That it was missing was read without a lock, for there was nothing to
        lock, and another node has made it since."""
        if self._found.get(key, self) is not None:
            return
        if key in self._rows:
            raise Raced(self._makers[key], primary_key_violation(key[1]))
        del self._found[key]

    def _refers(self, reference: Reference, target: Key, is_stored: bool) -> bool:
        """Whether a reference, stored or made here, is there now."""
        kind, entity_id, field = reference
        if not self.is_known((kind, entity_id)):
            return is_stored
        row = self.now((kind, entity_id))
        return row is not None and row.entity.get(field) == {"id": target[1]}


def differ(row: Stored | None, other: Stored | None) -> bool:
    """Whether two states of a row are stored as different bytes."""
    return (row and row.text) != (other and other.text)


def in_parts(sql: str, parameters: Sequence[tuple[Any, ...]]) -> Plan[list[Row]]:
    """Execute a text for all parameters, ``BATCH_ROWS_MAX`` at a time, so that each part ends
    within a statement's time."""
    rows: list[Row] = []
    for begin in range(0, len(parameters), BATCH_ROWS_MAX):
        rows.extend((yield Batch(sql, parameters[begin : begin + BATCH_ROWS_MAX])))
    return rows
