"""How a page of a list is found: by the indexes of tags and references, in the order of the ids.

A database that was just filled knows nothing yet of how many entities have a tag, and on a guess
reads a hundred thousand rows to find a thousand. So the way is told to it wherever one is known to
be short: what few entities have is read first, and each of those is looked up in the other indexes,
by subqueries that no planner turns into joins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from store.authority import Entity, Page, Query
from store.canonical import decode_entity
from store.plan import Plan, Statement
from store.schema import schema

RARE_MAX = 3_000
"""Entities that may be looked up one by one. Above that, what an entity must have is joined in
whichever way the database prefers. To count so many takes a tenth of what it takes to show them."""


@dataclass(slots=True)
class _Sql:
    """A statement being written: ``$1`` is the kind, ``$2`` the id after which the page begins,
    where it has such a bound."""

    parameters: list[object]

    def place(self, value: object) -> str:
        self.parameters.append(value)
        return f"${len(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """One thing that all entities of a list have: rows of an index table, any of which will do."""

    table: str
    equal: Sequence[tuple[str, str]]
    """(column, value) that all its rows have."""
    any_of: tuple[str, Sequence[str]] | None = field(default=None)
    """(column, values), of which each row has one."""

    def _alternatives(self, sql: _Sql, alias: str) -> list[str]:
        """Conditions on a row; one for each value that it may have."""
        equal = " AND ".join(f"{alias}.{name} = {sql.place(value)}" for name, value in self.equal)
        if self.any_of is None:
            return [equal]
        name, values = self.any_of
        rest = f" AND {equal}" if equal else ""
        return [f"{alias}.{name} = {sql.place(value)}{rest}" for value in values]

    def ids(self, sql: _Sql, limit: int | None = None) -> str:
        """SELECTs those that have it, once each; no more than ``limit`` of each alternative.

        One scan of the index for each: with IN, the index of another order may look as good.
        """
        end = f" ORDER BY x.id LIMIT {limit}" if limit is not None else ""
        return " UNION ".join(
            f"SELECT id FROM (SELECT x.id FROM {self.table} x WHERE {one}"
            f" AND x.kind = $1 AND x.id > $2{end}) a{number}"
            for number, one in enumerate(self._alternatives(sql, "x"))
        )

    def count(self, sql: _Sql) -> str:
        """How many have it, alternatives added up; no more than ``RARE_MAX`` + 1 of each."""
        return " + ".join(
            f"(SELECT count(*) FROM (SELECT 1 FROM {self.table} x WHERE {one}"
            f" AND x.kind = $1 AND x.id > $2 LIMIT {RARE_MAX + 1}) c)"
            for one in self._alternatives(sql, "x")
        )

    def has(self, sql: _Sql, entity_id: str) -> str:
        """Whether an entity has it."""
        looked_up = (
            f"(SELECT x.id FROM {self.table} x WHERE {one} AND x.kind = $1 AND x.id = {entity_id})"
            " IS NOT NULL"
            for one in self._alternatives(sql, "x")
        )
        return f"({' OR '.join(looked_up)})"


def narrowings(query: Query) -> list[Narrowing]:
    """What the entities of a list must have."""
    found = []
    for name, target_id in query.references.items():
        target_kind = schema(query.kind).references.get(name, "")
        columns = [("target_kind", target_kind), ("target_id", target_id.lower()), ("field", name)]
        found.append(Narrowing("entity_reference", columns))
    found += [Narrowing("entity_tag", [("tag", tag)]) for tag in query.tags_all]
    if query.tags_any:
        found.append(Narrowing("entity_tag", [], ("tag", query.tags_any)))
    return found


def read_found(query: Query) -> Plan[Page]:
    """One page of what has all that the query asks for."""
    needed = narrowings(query)
    if len(needed) > 1:
        needed, few = yield from _rarest_first(query, needed)
    else:
        few = bool(needed) and needed[0].any_of is not None
    statement = looked_up(query, needed) if few else joined(query, needed)
    rows = yield statement
    entities: tuple[Entity, ...] = tuple(decode_entity(body) for _, body in rows[: query.size])
    return Page(entities, rows[query.size - 1][0] if len(rows) > query.size else None)


def _rarest_first(query: Query, needed: Sequence[Narrowing]) -> Plan[tuple[list[Narrowing], bool]]:
    """The same, the rarest first, and whether that is rare."""
    sql = _Sql([query.kind, query.after_id or ""])
    counts = ", ".join(one.count(sql) for one in needed)
    rows = yield Statement(f"SELECT {counts}", tuple(sql.parameters))
    ordered = sorted(range(len(needed)), key=lambda number: rows[0][number])
    return [needed[number] for number in ordered], rows[0][ordered[0]] <= RARE_MAX


def looked_up(query: Query, needed: Sequence[Narrowing]) -> Statement:
    """The SELECT of a page and one row more, which tells whether there is a next one: what has the
    first is looked up in the indexes of the others."""
    sql = _Sql([query.kind, query.after_id or ""])
    first, *others = needed
    ids = first.ids(sql, None if others else query.size + 1)
    conditions = [one.has(sql, "d.id") for one in others]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return Statement(
        "SELECT p.id, (SELECT e.body FROM entity e WHERE e.kind = $1 AND e.id = p.id)"
        f" FROM (SELECT d.id FROM ({ids}) d{where} ORDER BY d.id LIMIT {query.size + 1}) p"
        " ORDER BY p.id",
        tuple(sql.parameters),
    )


def joined(query: Query, needed: Sequence[Narrowing]) -> Statement:
    """The same SELECT as a join, in the order of the first one's index."""
    sql = _Sql([query.kind])
    after = None if query.after_id is None else sql.place(query.after_id)
    tables, conditions = [], []
    for number, one in enumerate(needed):
        if one.any_of is None:
            tables.append(f"{one.table} n{number}")
            conditions += [f"n{number}.{name} = {sql.place(value)}" for name, value in one.equal]
    tables.append("entity e")
    first, *others = (table.split()[1] for table in tables)
    # A first page has no bound: a database that was just filled would take any for one that leaves
    # few rows, and sort all there are.
    for name in (first, *others):
        conditions += [f"{name}.kind = $1", *([f"{name}.id > {after}"] if after else [])]
    conditions += [f"{name}.id = {first}.id" for name in others]
    conditions += [one.has(sql, f"{first}.id") for one in needed if one.any_of is not None]
    return Statement(
        f"SELECT e.id, e.body FROM {', '.join(tables)} WHERE {' AND '.join(conditions)}"
        f" ORDER BY {first}.id LIMIT {query.size + 1}",
        tuple(sql.parameters),
    )
