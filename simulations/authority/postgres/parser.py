"""Parses the statements that plans emit. What it doesn't know whole is refused, not skipped."""

import re
from functools import lru_cache

from simulations.authority.postgres.expressions import Expressions
from simulations.authority.postgres.syntax import (
    Begin,
    Check,
    Column,
    Command,
    Commit,
    Constant,
    Delete,
    Expression,
    Insert,
    Listen,
    LockMode,
    OnConflict,
    Output,
    Part,
    Query,
    Release,
    Rollback,
    Savepoint,
    Select,
    Set,
    Source,
    UnionAll,
    Update,
    With,
)
from simulations.authority.postgres.tokens import Cursor

_LOCKS: tuple[LockMode, ...] = ("NO KEY UPDATE", "UPDATE", "KEY SHARE", "SHARE")
_AFTER_SOURCE = (
    "where",
    "order",
    "limit",
    "offset",
    "for",
    "returning",
    "set",
    "on",
    "using",
    "from",
    "union",
)


_CHECK = re.compile(
    r"DO \$\$ BEGIN IF current_setting\('(?P<name>\w+)'\) <> '(?P<value>[^']+)'"
    r" THEN RAISE EXCEPTION '[^']+'; END IF; END \$\$"
)
"""The one block of PL/pgSQL that is known, as a whole."""


@lru_cache(maxsize=1024)
def parse_script(sql: str) -> tuple[Command, ...]:
    """Statements with semicolons between them. Raises Unmodelled for what the model doesn't know,
    a semicolon in a text included."""
    check = _CHECK.fullmatch(sql)
    if check is not None:
        return (Check(check["name"], check["value"]),)
    return tuple(parse(part) for part in sql.split(";") if part.strip())


@lru_cache(maxsize=1024)
def parse(sql: str) -> Command:
    """One statement. Raises Unmodelled for anything that the model doesn't know."""
    cursor = Cursor(sql)
    command = _Statements(cursor).command()
    if cursor.peek().kind != "end":
        cursor.fail("more than the model knows")
    return command


class _Statements:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._expressions = Expressions(cursor, self._select)

    def command(self) -> Command:
        cursor = self._cursor
        if cursor.accept("begin"):
            return self._begin()
        if cursor.accept("commit"):
            return Commit()
        if cursor.accept("rollback to"):
            cursor.accept("savepoint")
            return Rollback(cursor.word())
        if cursor.accept("rollback"):
            return Rollback()
        if cursor.accept("savepoint"):
            return Savepoint(cursor.word())
        if cursor.accept("release"):
            cursor.accept("savepoint")
            return Release(cursor.word())
        if cursor.accept("listen"):
            return Listen(cursor.word())
        if cursor.accept("unlisten"):
            return Listen(cursor.word(), stop=True)
        if cursor.accept("set"):
            return self._set()
        return self._query()

    def _begin(self) -> Begin:
        cursor = self._cursor
        repeatable = read_only = False
        while cursor.peek().kind == "word":
            if cursor.accept("isolation level repeatable read"):
                repeatable = True
            elif cursor.accept("isolation level read committed"):
                repeatable = False
            elif cursor.accept("read only"):
                read_only = True
            else:
                cursor.fail("a transaction mode expected")
            cursor.accept(",")
        return Begin("repeatable read" if repeatable else "read committed", read_only)

    def _set(self) -> Set:
        local = self._cursor.accept("local")
        name = self._cursor.word()
        if not self._cursor.accept("="):
            self._cursor.expect("to")
        return Set(name, self._cursor.next().text, local)

    def _query(self) -> Query:
        cursor = self._cursor
        if cursor.at_words("select"):
            return self._select()
        if cursor.accept("insert into"):
            return self._insert()
        if cursor.accept("update"):
            return self._update()
        if cursor.accept("delete from"):
            return self._delete()
        if not cursor.accept("with"):
            cursor.fail("a statement that isn't modelled")
        return self._with()

    def _with(self) -> With:
        cursor = self._cursor
        cursor.accept("recursive")
        parts = []
        while True:
            name = cursor.word()
            columns = cursor.names() if cursor.at_words("(") else ()
            cursor.expect("as")
            cursor.accept("materialized")
            cursor.expect("(")
            query = self._query()
            if isinstance(query, Select) and cursor.accept("union all"):
                query = UnionAll(query, self._select())
            parts.append(Part(name, columns, query))
            cursor.expect(")")
            if not cursor.accept(","):
                return With(tuple(parts), self._query())

    def _select(self) -> Select:
        cursor, parse = self._cursor, self._expressions.parse
        cursor.expect("select")
        outputs = self._outputs()
        if not cursor.accept("from"):
            return Select(outputs)
        sources = self._sources()
        where = parse() if cursor.accept("where") else None
        order = self._order() if cursor.accept("order by") else ()
        limit = parse() if cursor.accept("limit") else None
        offset = parse() if cursor.accept("offset") else None
        lock: LockMode | None = None
        if cursor.accept("for"):
            lock = next((mode for mode in _LOCKS if cursor.accept(mode)), None)
            if lock is None:
                cursor.fail("a strength of lock expected")
        return Select(outputs, sources, where, order, limit, offset, lock)

    def _outputs(self) -> tuple[Output, ...]:
        outputs = []
        while True:
            if self._cursor.at_words("*"):
                self._cursor.fail("name the columns: * isn't modelled")
            expression = self._expressions.parse()
            name = expression.name if isinstance(expression, Column) else ""
            if self._cursor.accept("as"):
                name = self._cursor.word()
            outputs.append(Output(expression, name))
            if not self._cursor.accept(","):
                return tuple(outputs)

    def _order(self) -> tuple[tuple[Expression, bool], ...]:
        order = []
        while True:
            expression = self._expressions.parse()
            if isinstance(expression, Constant):
                self._cursor.fail("order by a column's number isn't modelled")
            descends = self._cursor.accept("desc")
            order.append((expression, descends))
            if not self._cursor.accept(","):
                return tuple(order)

    def _sources(self) -> tuple[Source, ...]:
        sources = [self._source()]
        while self._cursor.accept(","):
            sources.append(self._source())
        return tuple(sources)

    def _source(self) -> Source:
        if self._cursor.accept("("):
            select, *union = self._united()
            self._cursor.expect(")")
            alias = self._cursor.word()
            return Source(alias, alias, select, tuple(union))
        table = self._cursor.word()
        following = self._cursor.peek()
        named = following.kind == "word" and following.text not in _AFTER_SOURCE
        return Source(table, self._cursor.word() if named else table)

    def _united(self) -> list[Select]:
        selects = [self._select()]
        while self._cursor.accept("union"):
            if self._cursor.at_words("all"):
                self._cursor.fail("UNION ALL outside WITH RECURSIVE")
            selects.append(self._select())
        return selects

    def _insert(self) -> Insert:
        cursor = self._cursor
        table = cursor.word()
        columns = cursor.names()
        source: tuple[tuple[Expression, ...], ...] | Select
        if cursor.accept("values"):
            rows = [self._values()]
            while cursor.accept(","):
                rows.append(self._values())
            source = tuple(rows)
        else:
            source = self._select()
        conflict = self._conflict() if cursor.accept("on conflict") else None
        return Insert(table, columns, source, conflict, self._returning())

    def _values(self) -> tuple[Expression, ...]:
        self._cursor.expect("(")
        values = self._expressions.list()
        self._cursor.expect(")")
        return values

    def _conflict(self) -> OnConflict:
        cursor = self._cursor
        target = cursor.names() if cursor.at_words("(") else ()
        if cursor.accept("do nothing"):
            return OnConflict(target, None)
        cursor.expect("do update set")
        assignments = self._assignments()
        where = self._expressions.parse() if cursor.accept("where") else None
        return OnConflict(target, assignments, where)

    def _update(self) -> Update:
        source = self._source()
        self._cursor.expect("set")
        assignments = self._assignments()
        others = self._sources() if self._cursor.accept("from") else ()
        where = self._expressions.parse() if self._cursor.accept("where") else None
        return Update(source, assignments, others, where, self._returning())

    def _delete(self) -> Delete:
        source = self._source()
        where = self._expressions.parse() if self._cursor.accept("where") else None
        return Delete(source, where, self._returning())

    def _assignments(self) -> tuple[tuple[str, Expression], ...]:
        assignments = []
        while True:
            column = self._cursor.word()
            self._cursor.expect("=")
            assignments.append((column, self._expressions.parse()))
            if not self._cursor.accept(","):
                return tuple(assignments)

    def _returning(self) -> tuple[Output, ...] | None:
        return self._outputs() if self._cursor.accept("returning") else None
