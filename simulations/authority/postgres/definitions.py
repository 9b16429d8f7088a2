"""What tables look like, read from the migrations' own SQL: the model can't drift from them."""

from dataclasses import dataclass, field

from simulations.authority.postgres.expressions import Expressions
from simulations.authority.postgres.syntax import Expression, Select
from simulations.authority.postgres.tokens import Cursor

TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "bigint": (int,),
    "text": (str,),
    "bytea": (bytes,),
    "double precision": (float, int),
}
"""With the Python types that asyncpg takes for them."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Immediate, and without a cascade."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(slots=True)
class Definition:
    """One table."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    """Name -> type."""
    not_null: list[str] = field(default_factory=list)
    unique: list[tuple[str, ...]] = field(default_factory=list)
    """The keys, the primary one among them."""
    foreign: list[ForeignKey] = field(default_factory=list)
    checks: list[Expression] = field(default_factory=list)

    @property
    def key_columns(self) -> list[str]:
        """Those whose change takes the strongest lock: a foreign key may point at them."""
        return [column for key in self.unique for column in key]


def definitions(script: str) -> list[Definition]:
    """The tables that a migration makes. Raises Unmodelled for what else it might do."""
    reader = _Reader(script)
    return list(reader.definitions())


class _Reader:
    def __init__(self, script: str) -> None:
        self._cursor = Cursor(script)
        self._expressions = Expressions(self._cursor, self._no_select)

    def definitions(self) -> list[Definition]:
        found = []
        cursor = self._cursor
        while cursor.peek().kind != "end":
            if cursor.accept("create index"):
                while not cursor.accept(";"):
                    cursor.next()
                continue
            cursor.expect("create table")
            found.append(self._table())
        return found

    def _table(self) -> Definition:
        cursor = self._cursor
        table = Definition(cursor.word())
        cursor.expect("(")
        while True:
            if cursor.accept("primary key"):
                self._primary(table, cursor.names())
            elif cursor.accept("unique"):
                table.unique.append(cursor.names())
            elif cursor.accept("foreign key"):
                columns = cursor.names()
                cursor.expect("references")
                table.foreign.append(ForeignKey(columns, cursor.word(), cursor.names()))
            else:
                self._column(table)
            if not cursor.accept(","):
                break
        cursor.expect(")")
        if cursor.accept("with ( fillfactor = "):
            cursor.next()
            cursor.expect(")")
        cursor.accept(";")
        return table

    def _column(self, table: Definition) -> None:
        cursor = self._cursor
        name, kind = cursor.word(), cursor.word()
        if kind == "double":
            kind += f" {cursor.word()}"
        if kind not in TYPES:
            cursor.fail(f"the type {kind} isn't modelled")
        table.columns[name] = kind
        while True:
            if cursor.accept("not null"):
                table.not_null.append(name)
            elif cursor.accept("primary key"):
                self._primary(table, (name,))
            elif cursor.accept("unique"):
                table.unique.append((name,))
            elif cursor.accept("collate"):
                # Strings compare by code point here, which orders as UTF-8's bytes do.
                if cursor.word() != "C":
                    cursor.fail("a collation that isn't modelled")
            elif cursor.accept("check ("):
                table.checks.append(self._expressions.parse())
                cursor.expect(")")
            else:
                return

    def _primary(self, table: Definition, columns: tuple[str, ...]) -> None:
        table.unique.insert(0, columns)
        table.not_null += columns

    def _no_select(self) -> Select:
        self._cursor.fail("a subquery in a definition")
