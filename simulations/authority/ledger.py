"""What simulated writers asked for and were answered, held against the history that came of it.

Whatever happened on the way: the log has no gap and its chain is right, replaying it over nothing
gives the state, the tables beside the entities say what the entities say, every answer was true, no
patch has undone another's work, and a deletion has taken with it only what hung on it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from store.authority import Committed, Delete, Entity, Mutation, Patch, State
from store.canonical import decode_entity
from store.changeset import Change, Changeset, chain, decode_body
from store.errors import AuthorityUnavailable, EntityError, OutcomeUnknown
from store.history import EPOCHS
from store.plan import Plan, Row, Statement
from store.schema.entity import Schema
from store.schema.values import is_uuid
from store.version import EMPTY

Key = tuple[str, str]
"""(kind, id)"""

EXPECTED = (3, 4, 5, 6, 13)
"""Codes of Kong's that writers who meet are answered with."""


@dataclass(slots=True)
class Write:
    """One write id, which may be tried several times, also at once."""

    mutations: tuple[Mutation, ...]
    committed: list[Committed] = field(default_factory=list)
    tries: int = 0
    under_way: int = 0
    denial: Exception | None = None
    """The last word: that nothing was written."""


class Ledger:
    """Writes by write id."""

    def __init__(self) -> None:
        self.writes: dict[bytes, Write] = {}

    def begin(self, write_id: bytes, mutations: Sequence[Mutation]) -> None:
        """A try begins. One whose process dies never ends."""
        write = self.writes.setdefault(write_id, Write(tuple(mutations)))
        write.tries += 1
        write.under_way += 1
        write.denial = None

    def answered(self, write_id: bytes, answer: Committed | Exception) -> None:
        """A try ends. Raises AssertionError for an error that no client should see."""
        write = self.writes[write_id]
        write.under_way -= 1
        if isinstance(answer, Committed):
            write.committed.append(answer)
        elif isinstance(answer, EntityError):
            assert answer.code in EXPECTED, f"refused: {answer.code} {answer}"
            if not write.under_way:
                write.denial = answer  # it has looked into the log
        elif not isinstance(answer, OutcomeUnknown):
            kind = type(answer).__name__
            assert isinstance(answer, AuthorityUnavailable), f"a client saw {kind}: {answer}"
            if write.tries == 1:
                write.denial = answer  # that one try came to nothing says nothing of another

    def check(
        self,
        log: Sequence[Changeset],
        state: State,
        tables: "Tables",
        schemas: dict[str, Schema],
        returned: Collection[bytes] = (),
    ) -> list[Changeset]:
        """Raises AssertionError for what must not be; answers the commits that were answered and
        then lost, which only a database that loses commits may do.

        ``returned``: digests of what was lost for a time, when it was true to deny it.
        """
        rows: dict[Key, Entity] = {}
        version, digest = EMPTY
        logged: dict[bytes, Changeset] = {}
        for number, changeset in enumerate(log, 1):
            assert changeset.version.revision == number, f"revision {number} is missing"
            assert changeset.predecessor == digest, f"revision {number} has another predecessor"
            digest = changeset.digest
            assert digest == chain(changeset.predecessor, changeset.body), "a digest is wrong"
            assert changeset.version > version, f"revision {number} is of an earlier epoch"
            version = changeset.version
            body = decode_body(changeset.body)
            assert body.write_id not in logged, f"a write was done twice, at revision {number}"
            logged[body.write_id] = changeset
            if body.mark == "epoch":
                ((kind, entity_id, text),) = body.changes
                rows[kind, entity_id] = decode_entity(text or "")
                continue
            write = self.writes.get(body.write_id)
            assert write is not None, f"nobody asked for revision {number}"
            _check_step(rows, body.changes, write.mutations, number)
        assert state.head.version.revision == len(log), "the head isn't the log's last"
        assert state.head == (version, digest) or not log, "the head isn't the log's last"
        found = {(kind, id): decode_entity(text or "") for kind, id, text in state.entities}
        assert found == rows, "replaying the log doesn't give the state"
        _check_tables(rows, tables, schemas)
        for key, write in self.writes.items():
            done = logged.get(key)
            untrue = write.denial and done is not None and done.digest not in returned
            assert not untrue, f"it was answered that nothing was written: {write.denial}"
        return [lost for key in self.writes for lost in self._lost(key, logged.get(key))]

    def _lost(self, write_id: bytes, changeset: Changeset | None) -> list[Changeset]:
        # A lost commit may have been done anew by another try, as another revision.
        told = (answer.changeset for answer in self.writes[write_id].committed)
        return [other for other in told if other is not None and other != changeset]


def _check_step(
    rows: dict[Key, Entity], changes: Sequence[Change], mutations: Sequence[Mutation], number: int
) -> None:
    """Apply one changeset, and see that it did no more than it was asked for."""
    gone = [(change.kind, change.id) for change in changes if change.entity is None]
    for key in gone:
        assert key in rows, f"revision {number} deletes {key}, which isn't there"
        targets = [value["id"] for value in rows[key].values() if isinstance(value, dict)]
        hung = any(target == other for target in targets for _, other in gone)
        asked = any(
            isinstance(item, Delete) and item.kind == key[0] and _names(item.key, rows[key])
            for item in mutations
        )
        assert hung or asked or len(mutations) > 1, f"revision {number} deletes {key} unasked"
    for change in changes:
        key = (change.kind, change.id)
        before = rows.pop(key, None)
        if change.entity is None:
            continue
        rows[key] = after = decode_entity(change.entity)
        if before is not None and len(mutations) == 1 and isinstance(mutations[0], Patch):
            other = [name for name in after if name not in mutations[0].fields]
            kept = all(after[name] == before.get(name) for name in other)
            assert kept, f"revision {number} undoes what others wrote to {key}"


def _names(key: str, entity: Entity) -> bool:
    """Whether a key may have named an entity; a name may have been another's when it was read."""
    return not is_uuid(key) or key.lower() == entity["id"]


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows beside the entities."""

    unique: tuple[tuple[Any, ...], ...]
    references: tuple[tuple[Any, ...], ...]
    tags: tuple[tuple[Any, ...], ...]


def read_tables() -> Plan[Tables]:
    """All of them."""
    unique = yield Statement("SELECT kind, field, value, id FROM entity_unique")
    references = yield Statement(
        "SELECT kind, id, field, target_kind, target_id FROM entity_reference"
    )
    tags = yield Statement("SELECT tag, kind, id FROM entity_tag")
    return Tables(_sorted(unique), _sorted(references), _sorted(tags))


def _sorted(rows: Sequence[Row]) -> tuple[tuple[Any, ...], ...]:
    return tuple(sorted(tuple(row) for row in rows))


def _check_tables(rows: dict[Key, Entity], tables: Tables, schemas: dict[str, Schema]) -> None:
    unique: list[tuple[Any, ...]] = []
    references: list[tuple[Any, ...]] = []
    tags: list[tuple[Any, ...]] = []
    for (kind, entity_id), entity in rows.items():
        if kind == EPOCHS:
            continue
        assert entity["id"] == entity_id, "an entity has another's id"
        for name in schemas[kind].unique:
            if entity.get(name) is not None:
                unique.append((kind, name, entity[name], entity_id))
        for name, target in schemas[kind].references.items():
            if entity.get(name) is not None:
                referred = (target, entity[name]["id"])
                assert referred in rows, f"{kind} {entity_id} refers to nothing"
                references.append((kind, entity_id, name, *referred))
        tags += [(tag, kind, entity_id) for tag in entity.get("tags") or ()]
    expected = Tables(_sorted(unique), _sorted(references), _sorted(tags))
    assert tables == expected, "the tables beside the entities don't say what the entities say"
