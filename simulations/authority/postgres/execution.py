"""Executes one statement: what it finds, what it locks and waits for, what it changes.

A generator that yields whom it waits for and goes on when one of them has ended. The rules are
those of READ COMMITTED (Postgres documentation, 13.2.1): one snapshot per statement; who waited for
a row looks at its newest version and asks its condition again. Where SQL leaves an order open, the
randomness handed in chooses one.
"""

import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg

from simulations.authority.postgres.constraints import check_children, check_parents, check_values
from simulations.authority.postgres.syntax import (
    And,
    Call,
    Column,
    Constant,
    Count,
    Delete,
    Environment,
    Expression,
    Greatest,
    Insert,
    LockMode,
    OnConflict,
    Operation,
    Output,
    Parameter,
    Part,
    Query,
    Select,
    Source,
    UnionAll,
    Unmodelled,
    Update,
    With,
)
from simulations.authority.postgres.tables import (
    Database,
    Lockable,
    Row,
    Table,
    Transaction,
    Values,
    Version,
    checked_table,
    key_of,
)

Blockers: TypeAlias = Sequence[Transaction]
Rows: TypeAlias = list[tuple[Any, ...]]
Waiting: TypeAlias = Generator[Blockers, None, Any]
Found: TypeAlias = tuple[Row, Version]

_CAN_NOT_WRITE = "cannot execute {} in a read-only transaction"


class Execution:
    """One statement of a transaction, at the snapshot of its beginning."""

    def __init__(
        self,
        database: Database,
        transaction: Transaction,
        parameters: Sequence[Any],
        rng: random.Random,
        session: Mapping[str, Any],
    ) -> None:
        self._database = database
        self._transaction = transaction
        self._rng = rng
        assert transaction.snapshot is not None
        self._snapshot = transaction.snapshot
        self._environment = Environment(parameters, self._subquery, self._notify, session)
        self._results: dict[str, list[Values]] = {}
        """Of WITH."""

    def run(self, query: Query) -> Generator[Blockers, None, Rows]:
        """Execute; answers the rows. Raises asyncpg's exceptions, as the server's errors."""
        match query:
            case With(parts, body):
                for part in parts:
                    yield from self._part(part)
                return (yield from self.run(body))
            case UnionAll():
                raise Unmodelled("UNION ALL outside WITH RECURSIVE")
            case Select(outputs, sources=()):
                return (yield from self._call(outputs))
            case Select():
                return (yield from self._select(query))
            case Insert():
                self._must_write("INSERT")
                return (yield from self._insert(query))
            case Update():
                self._must_write("UPDATE")
                return (yield from self._update(query))
            case Delete():
                self._must_write("DELETE")
                return (yield from self._delete(query))

    def _part(self, part: Part) -> Waiting:
        names = part.columns or tuple(output.name for output in _outputs(part.query))
        if not isinstance(part.query, UnionAll):
            rows = yield from self.run(part.query)
        else:
            rows = yield from self.run(part.query.first)
            latest = rows
            while latest:
                self._results[part.name] = _named(names, latest)
                latest = yield from self.run(part.query.second)
                rows = rows + latest
        self._results[part.name] = _named(names, rows)

    # Reading

    def _subquery(self, select: Select, env: Environment) -> Rows:
        if select.lock is not None:
            raise Unmodelled("a subquery that locks")
        found = self._found(select, env)
        first = select.outputs[0].expression
        if isinstance(first, Greatest) and len(select.outputs) == 1:
            values = [value for one in found if (value := first.item.value(one)) is not None]
            return [(max(values, default=None),)]
        if isinstance(first, Count) and len(select.outputs) == 1:
            return [(len(found),)]
        return [_output(select.outputs, one) for one in found]

    def _notify(self, channel: str, payload: str) -> None:
        """The same twice in one transaction is told once (Postgres documentation, NOTIFY)."""
        if (channel, payload) not in self._transaction.notices:
            self._transaction.notices.append((channel, payload))

    def _select(self, select: Select) -> Generator[Blockers, None, Rows]:
        env = self._environment
        if select.lock is None:
            return self._subquery(select, env)
        self._must_write(f"SELECT FOR {select.lock}")
        if select.limit is not None or select.offset is not None or len(select.sources) > 1:
            raise Unmodelled("LIMIT or a join with a lock")
        (source,) = select.sources
        found = self._scan(source, select.where, env)
        bound = [env.bind(source.alias, version.values) for _, version in found]
        rows = []
        for position in self._order(select, bound):
            row, version = found[position]
            locked = yield from self._locked(row, version, select.lock, source, select.where, env)
            if locked is not None:
                rows.append(_output(select.outputs, env.bind(source.alias, locked.values)))
        return rows

    def _found(self, select: Select, env: Environment) -> list[Environment]:
        """What a SELECT without a lock finds, each with its rows in scope."""
        bound = [env]
        for source in select.sources:
            where = select.where if len(select.sources) == 1 else None
            bound = [
                one.bind(source.alias, values)
                for one in bound
                for values in self._values(source, where, one)
            ]
        bound = self._ordered(select, [one for one in bound if _holds(select.where, one)])
        begin = 0 if select.offset is None else select.offset.value(env)
        end = None if select.limit is None else begin + select.limit.value(env)
        return bound[begin:end]

    def _values(self, source: Source, where: Expression | None, env: Environment) -> list[Values]:
        if source.select is not None:
            names = [output.name for output in source.select.outputs]
            rows = self._subquery(source.select, self._environment)
            for select in source.union:
                rows = list(dict.fromkeys(rows + self._subquery(select, self._environment)))
            return _named(names, rows)
        if source.table in self._results:
            return self._results[source.table]
        return [version.values for _, version in self._scan(source, where, env)]

    def _ordered(self, select: Select, found: list[Environment]) -> list[Environment]:
        return [found[position] for position in self._order(select, found)]

    def _order(self, select: Select, found: list[Environment]) -> list[int]:
        """Positions in the order that is asked for."""
        order = list(range(len(found)))
        for expression, descends in reversed(select.order_by):
            keys = [expression.value(env) for env in found]
            if None in keys:
                raise Unmodelled("order by NULL")
            order.sort(key=keys.__getitem__, reverse=descends)
        return order

    def _scan(self, source: Source, where: Expression | None, env: Environment) -> list[Found]:
        """Rows that the snapshot shows and the condition takes, in any order."""
        table = checked_table(self._database, source.table)
        found = []
        for row in table.candidates(_equalities(where, table, source.alias, env)):
            version = row.seen(self._snapshot, self._transaction)
            if version is not None and _holds(where, env.bind(source.alias, version.values)):
                found.append((row, version))
        if len(found) > 1:
            self._rng.shuffle(found)
        return found

    def _call(self, outputs: tuple[Output, ...]) -> Generator[Blockers, None, Rows]:
        """SELECT without FROM."""
        expression = outputs[0].expression
        if isinstance(expression, Call) and expression.function == "pg_advisory_xact_lock":
            number = expression.arguments[0].value(self._environment)
            yield from self._hold(self._database.advisory(number), "UPDATE")
            return [(None,)]
        return [tuple(output.expression.value(self._environment) for output in outputs)]

    # Locking

    def _hold(self, what: Lockable, mode: LockMode) -> Waiting:
        while blockers := what.blockers(mode, self._transaction):
            yield blockers
        self._database.hold(self._transaction, what, mode)

    def _locked(
        self,
        row: Row,
        seen: Version,
        mode: LockMode,
        source: Source,
        where: Expression | None,
        env: Environment,
    ) -> Generator[Blockers, None, Version | None]:
        """Lock a row that was found; its newest version if the condition still takes it."""
        yield from self._hold(row, mode)
        newest = row.newest(self._transaction)
        if newest is None or newest is seen:
            return newest
        return newest if _holds(where, env.bind(source.alias, newest.values)) else None

    def _must_write(self, what: str) -> None:
        if self._transaction.read_only:
            raise asyncpg.ReadOnlySQLTransactionError(_CAN_NOT_WRITE.format(what))
        if self._transaction.repeatable:
            raise Unmodelled(f"{what} in REPEATABLE READ")

    # Changing

    def _update(self, update: Update) -> Generator[Blockers, None, Rows]:
        source = update.source
        table = checked_table(self._database, source.table)
        mode = _update_mode(table, [column for column, _ in update.assignments])
        if mode == "UPDATE":
            raise Unmodelled("an UPDATE of a key, to which others may refer")
        rows, changed = [], []
        for row, seen, env in self._to_update(update):
            version = yield from self._locked(row, seen, mode, source, update.where, env)
            if version is None:
                continue
            bound = env.bind(source.alias, version.values)
            values = _assigned(table, version.values, update.assignments, bound)
            yield from self._replace(table, row, values)
            changed.append(values)
            if update.returning is not None:
                rows.append(_output(update.returning, env.bind(source.alias, values)))
        yield from check_parents(self._database, self._transaction, table, changed)
        return rows

    def _to_update(self, update: Update) -> list[tuple[Row, Version, Environment]]:
        """The rows found, each with the rows of FROM that go with it."""
        bound = self._found(Select((), update.others), self._environment)
        found = [
            (row, version, env)
            for env in bound
            for row, version in self._scan(update.source, update.where, env)
        ]
        if len({row.number for row, _, _ in found}) < len(found):
            raise Unmodelled("an UPDATE that finds a row more than once")
        return found

    def _delete(self, delete: Delete) -> Generator[Blockers, None, Rows]:
        source, env = delete.source, self._environment
        table = checked_table(self._database, source.table)
        rows, gone = [], []
        for row, seen in self._scan(source, delete.where, env):
            version = yield from self._locked(row, seen, "UPDATE", source, delete.where, env)
            if version is None:
                continue
            self._database.replace(self._transaction, table, row, None)
            gone.append(version.values)
            if delete.returning is not None:
                rows.append(_output(delete.returning, env.bind(source.alias, version.values)))
        yield from check_children(self._database, self._transaction, table, gone)
        return rows

    def _insert(self, insert: Insert) -> Generator[Blockers, None, Rows]:
        table = checked_table(self._database, insert.table)
        env = self._environment
        if isinstance(insert.source, Select):
            sources = yield from self.run(insert.source)
        else:
            sources = [tuple(item.value(env) for item in row) for row in insert.source]
        rows, changed = [], []
        for source in sources:
            given = dict(zip(insert.columns, source, strict=True))
            values = {column: given.pop(column, None) for column in table.definition.columns}
            if given:
                raise Unmodelled(f"{insert.table} has no column {', '.join(given)}")
            stored = yield from self._insert_row(table, values, insert.conflict)
            if stored is None:
                continue
            changed.append(stored)
            if insert.returning is not None:
                rows.append(_output(insert.returning, env.bind(insert.table, stored)))
        yield from check_parents(self._database, self._transaction, table, changed)
        return rows

    def _insert_row(
        self, table: Table, values: Values, conflict: OnConflict | None
    ) -> Generator[Blockers, None, Values | None]:
        """The values that are stored now; None when a conflict left things as they were."""
        check_values(table.definition, values, self._environment)
        keys = table.definition.unique
        while True:
            other = None
            for columns in keys:
                other = yield from self._taken(table, columns, values)
                if other is not None:
                    if conflict is None or conflict.target not in ((), columns):
                        self._refuse(table, columns, values)
                    break
            if other is None:
                # An earlier key may have been taken while a later one was waited for.
                if all(self._look(table, columns, values) is None for columns in keys):
                    self._database.insert(self._transaction, table, values)
                    return values
                continue
            if conflict is None or conflict.assignments is None:
                return None
            outcome = yield from self._upsert(table, other, values, conflict)
            if outcome != "gone":
                return outcome if isinstance(outcome, dict) else None

    def _upsert(
        self, table: Table, row: Row, values: Values, conflict: OnConflict
    ) -> Generator[Blockers, None, Any]:
        """DO UPDATE of the row in the way: its new values, None if WHERE spares it, ``gone``."""
        assert conflict.assignments is not None
        name = table.definition.name
        mode = _update_mode(table, [column for column, _ in conflict.assignments])
        yield from self._hold(row, mode)
        newest = row.newest(self._transaction)
        if newest is None:
            return "gone"
        env = self._environment.bind("excluded", values)
        if not _holds(conflict.where, env.bind(name, newest.values)):
            return None
        bound = env.bind(name, newest.values)
        changed = _assigned(table, newest.values, conflict.assignments, bound)
        yield from self._replace(table, row, changed)
        return changed

    def _replace(self, table: Table, row: Row, values: Values) -> Waiting:
        check_values(table.definition, values, self._environment)
        version = row.newest(self._transaction)
        assert version is not None
        for columns in table.definition.unique:
            if key_of(columns, values) == key_of(columns, version.values):
                continue
            if (yield from self._taken(table, columns, values)) is not None:
                self._refuse(table, columns, values)
        self._database.replace(self._transaction, table, row, values)

    def _taken(
        self, table: Table, columns: tuple[str, ...], values: Values
    ) -> Generator[Blockers, None, Row | None]:
        """The row that has a key, once nobody is about to give it up or take it."""
        while True:
            verdict = self._look(table, columns, values)
            if not isinstance(verdict, Transaction):
                return verdict
            yield [verdict]

    def _look(
        self, table: Table, columns: tuple[str, ...], values: Values
    ) -> Row | Transaction | None:
        """Who has a key: a row for good, a transaction that isn't over, or nobody.

        Like a dirty snapshot, also one that only changes such a row is waited for."""
        key = key_of(columns, values)
        if None in key:
            raise Unmodelled("NULL in a key")
        own = self._transaction
        for row in table.with_key(columns, key):
            for version in row.versions:
                if key_of(columns, version.values) != key or version.ended_at is not None:
                    continue
                if version.ender is own:
                    continue
                if version.maker not in (None, own):
                    return version.maker
                if version.ender is not None:
                    return version.ender
                return row
        return None

    def _refuse(self, table: Table, columns: tuple[str, ...], values: Values) -> None:
        key = ", ".join(map(str, key_of(columns, values)))
        raise asyncpg.UniqueViolationError(
            f"duplicate key ({', '.join(columns)})=({key}) in {table.definition.name}"
        )


def _holds(condition: Expression | None, env: Environment) -> bool:
    return condition is None or condition.value(env) is True


def _output(outputs: Sequence[Output], env: Environment) -> tuple[Any, ...]:
    return tuple(output.expression.value(env) for output in outputs)


def _named(names: Sequence[str], rows: Rows) -> list[Values]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _assigned(
    table: Table, values: Values, assignments: Sequence[tuple[str, Expression]], env: Environment
) -> dict[str, Any]:
    changed = {column: expression.value(env) for column, expression in assignments}
    if unknown := [column for column in changed if column not in table.definition.columns]:
        raise Unmodelled(f"{table.definition.name} has no column {unknown[0]}")
    return {**values, **changed}


def _outputs(query: Query) -> Sequence[Output]:
    match query:
        case Select(outputs) | UnionAll(Select(outputs)):
            return outputs
        case With():
            raise Unmodelled("WITH in WITH")
        case _:
            return query.returning or ()


def _update_mode(table: Table, columns: Sequence[str]) -> LockMode:
    keys = table.definition.key_columns
    return "UPDATE" if any(column in keys for column in columns) else "NO KEY UPDATE"


def _equalities(
    where: Expression | None, table: Table, alias: str, env: Environment
) -> dict[str, Any]:
    """What the condition says that columns must equal, as far as that is known beforehand."""
    found = {}
    for item in _conjuncts(where):
        if isinstance(item, Operation) and item.operator == "=" and isinstance(item.left, Column):
            mine = item.left.table in ("", alias) and item.left.name in table.definition.columns
            right = item.right
            known = not isinstance(right, Column) or right.table not in ("", alias)
            if mine and known and isinstance(right, Column | Parameter | Constant):
                found[item.left.name] = right.value(env)
    return found


def _conjuncts(where: Expression | None) -> Iterator[Expression]:
    if isinstance(where, And):
        yield from where.items
    elif where is not None:
        yield where
