"""The SQL that the model knows, as a tree; expressions evaluate themselves.

Three-valued logic as in SQL: None is NULL, and a condition holds only when it is True.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

LockMode: TypeAlias = Literal["KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE"]


class Unmodelled(Exception):
    """SQL, or a use of it, whose meaning the model doesn't know. Never guessed: a guess would make
    every simulation with it worthless. Teach the model first."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression's names stand for."""

    parameters: Sequence[Any]
    select: "Callable[[Select, Environment], list[tuple[Any, ...]]]"
    """Runs a subquery in the snapshot of the statement."""
    notify: Callable[[str, str], None]
    session: Mapping[str, Any]
    """What functions answer that have no arguments: what holds for the whole session."""
    frames: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """(alias, values), the innermost last."""

    def bind(self, alias: str, values: Mapping[str, Any]) -> "Environment":
        """This one, with a row in scope."""
        frames = (*self.frames, (alias, values))
        return Environment(self.parameters, self.select, self.notify, self.session, frames)


class Expression(Protocol):
    """Something with a value."""

    def value(self, env: Environment) -> Any: ...


@dataclass(frozen=True, slots=True)
class Constant:
    constant: Any

    def value(self, env: Environment) -> Any:
        return self.constant


@dataclass(frozen=True, slots=True)
class Parameter:
    number: int

    def value(self, env: Environment) -> Any:
        return env.parameters[self.number - 1]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    table: str = ""

    def value(self, env: Environment) -> Any:
        for alias, values in reversed(env.frames):
            if self.table in ("", alias) and self.name in values:
                return values[self.name]
        raise Unmodelled(f"no column {self.table}.{self.name} in scope")


@dataclass(frozen=True, slots=True)
class Operation:
    """Two operands; NULL when one is."""

    operator: str
    left: Expression
    right: Expression

    def value(self, env: Environment) -> Any:
        left, right = self.left.value(env), self.right.value(env)
        if left is None or right is None:
            return None
        return _OPERATORS[self.operator](left, right)


def _concatenate(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, int):
        return f"{left}{right}"
    if type(left) is not type(right):
        raise Unmodelled(f"{type(left).__name__} || {type(right).__name__}")
    return left + right


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "||": _concatenate,
}
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Expression, ...]

    def value(self, env: Environment) -> Any:
        known = True
        for item in self.items:
            value = item.value(env)
            if value is False:
                return False
            known = known and value is not None
        return True if known else None


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Expression, ...]

    def value(self, env: Environment) -> Any:
        known = True
        for item in self.items:
            value = item.value(env)
            if value is True:
                return True
            known = known and value is not None
        return False if known else None


@dataclass(frozen=True, slots=True)
class Not:
    item: Expression

    def value(self, env: Environment) -> Any:
        value = self.item.value(env)
        return None if value is None else not value


@dataclass(frozen=True, slots=True)
class IsNull:
    item: Expression

    def value(self, env: Environment) -> Any:
        return self.item.value(env) is None


@dataclass(frozen=True, slots=True)
class RowValue:
    """``(a, b)``; compares in its columns' order. NULL inside isn't modelled."""

    items: tuple[Expression, ...]

    def value(self, env: Environment) -> Any:
        values = tuple(item.value(env) for item in self.items)
        if None in values:
            raise Unmodelled("NULL in a row value")
        return values


@dataclass(frozen=True, slots=True)
class InList:
    item: Expression
    choices: tuple[Expression, ...]

    def value(self, env: Environment) -> Any:
        value = self.item.value(env)
        choices = [choice.value(env) for choice in self.choices]
        return _is_in(value, choices)


@dataclass(frozen=True, slots=True)
class InSelect:
    item: Expression
    select: "Select"

    def value(self, env: Environment) -> Any:
        return _is_in(self.item.value(env), [row[0] for row in env.select(self.select, env)])


def _is_in(value: Any, choices: list[Any]) -> bool | None:
    if value is None:
        return None
    if value in choices:
        return True
    return None if None in choices else False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """``x = ANY($1)`` of an array."""

    item: Expression
    array: Expression

    def value(self, env: Environment) -> Any:
        array = self.array.value(env)
        return None if array is None else _is_in(self.item.value(env), list(array))


@dataclass(frozen=True, slots=True)
class Exists:
    select: "Select"

    def value(self, env: Environment) -> Any:
        return bool(env.select(self.select, env))


@dataclass(frozen=True, slots=True)
class Scalar:
    """A subquery that stands for a value."""

    select: "Select"

    def value(self, env: Environment) -> Any:
        rows = env.select(self.select, env)
        if len(rows) > 1:
            raise Unmodelled("a scalar subquery with several rows")
        return rows[0][0] if rows else None


@dataclass(frozen=True, slots=True)
class Greatest:
    """``max(x)`` over all rows of a SELECT, which then has one row."""

    item: Expression

    def value(self, env: Environment) -> Any:
        raise Unmodelled("max() among other things")


@dataclass(frozen=True, slots=True)
class Count:
    """``count(*)``: how many rows a SELECT finds, which then has one."""

    def value(self, env: Environment) -> Any:
        raise Unmodelled("count(*) among other things")


@dataclass(frozen=True, slots=True)
class Case:
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression

    def value(self, env: Environment) -> Any:
        for condition, result in self.branches:
            if condition.value(env) is True:
                return result.value(env)
        return self.otherwise.value(env)


@dataclass(frozen=True, slots=True)
class Call:
    """A function."""

    function: str
    arguments: tuple[Expression, ...]

    def value(self, env: Environment) -> Any:
        if self.function in SESSION:
            return env.session[self.function]
        arguments = [argument.value(env) for argument in self.arguments]
        match self.function:
            case "coalesce":
                return next((argument for argument in arguments if argument is not None), None)
            case "pg_notify":
                env.notify(*arguments)
                return ""  # void is not null
            case "pg_advisory_xact_lock":
                raise Unmodelled("a lock among other things")
        return None if None in arguments else FUNCTIONS[self.function](*arguments)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "length": len,
    "cardinality": len,
    "greatest": max,
    "least": min,
    "host": str,
    "pg_walfile_name": lambda timeline: f"{timeline:08X}{0:016X}",  # that is all it tells here
}
SPECIAL = ("coalesce", "pg_notify", "pg_advisory_xact_lock")
"""Functions that need more than their arguments; the last one only alone, in a SELECT."""
SESSION = ("current_schema", "inet_server_addr", "inet_server_port", "pg_current_wal_lsn")
"""Functions of ``Environment.session``."""


_CASTS: dict[str, tuple[type, ...]] = {
    "bigint": (int,),
    "integer": (int,),
    "text": (str,),
    "bytea": (bytes,),
    "float8": (float, int),
    "double precision": (float, int),
}


@dataclass(frozen=True, slots=True)
class Cast:
    """Says of which type something is; nothing is converted."""

    item: Expression
    type: str
    is_array: bool = False

    def value(self, env: Environment) -> Any:
        value = self.item.value(env)
        for element in value if self.is_array and value is not None else [value]:
            if element is not None and not isinstance(element, _CASTS.get(self.type, ())):
                raise Unmodelled(f"a cast of {type(element).__name__} to {self.type}")
        return value


@dataclass(frozen=True, slots=True)
class Subscript:
    """An element of an array, counted from 1; NULL outside it."""

    array: Expression
    index: Expression

    def value(self, env: Environment) -> Any:
        array, index = self.array.value(env), self.index.value(env)
        if array is None or index is None or not 1 <= index <= len(array):
            return None
        return array[index - 1]


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a result."""

    expression: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Source:
    """What is in FROM: a table, the result of a WITH, or a subquery."""

    table: str
    alias: str
    select: "Select | None" = None
    union: "tuple[Select, ...]" = ()
    """What UNION adds to that subquery: of rows that are alike there is one."""


@dataclass(frozen=True, slots=True)
class Select:
    outputs: tuple[Output, ...]
    sources: tuple[Source, ...] = ()
    where: Expression | None = None
    order_by: tuple[tuple[Expression, bool], ...] = ()
    """With whether it descends."""
    limit: Expression | None = None
    offset: Expression | None = None
    lock: LockMode | None = None


@dataclass(frozen=True, slots=True)
class UnionAll:
    """In WITH RECURSIVE the second part runs again and again over what it found last."""

    first: Select
    second: Select


@dataclass(frozen=True, slots=True)
class OnConflict:
    target: tuple[str, ...]
    """Columns; () for any constraint."""
    assignments: tuple[tuple[str, Expression], ...] | None
    """None is DO NOTHING."""
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    table: str
    columns: tuple[str, ...]
    source: "tuple[tuple[Expression, ...], ...] | Select"
    conflict: OnConflict | None = None
    returning: tuple[Output, ...] | None = None


@dataclass(frozen=True, slots=True)
class Update:
    source: Source
    assignments: tuple[tuple[str, Expression], ...]
    others: tuple[Source, ...] = ()
    """FROM."""
    where: Expression | None = None
    returning: tuple[Output, ...] | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    source: Source
    where: Expression | None = None
    returning: tuple[Output, ...] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What WITH names. Without names of their own its columns are called as they are."""

    name: str
    columns: tuple[str, ...]
    query: "Query"


@dataclass(frozen=True, slots=True)
class With:
    """Each part runs once, in order, in one snapshot."""

    parts: tuple[Part, ...]
    body: "Query"


Query: TypeAlias = Select | UnionAll | Insert | Update | Delete | With


@dataclass(frozen=True, slots=True)
class Begin:
    isolation: Literal["read committed", "repeatable read"] = "read committed"
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    pass


@dataclass(frozen=True, slots=True)
class Rollback:
    savepoint: str | None = None


@dataclass(frozen=True, slots=True)
class Savepoint:
    name: str


@dataclass(frozen=True, slots=True)
class Release:
    name: str


@dataclass(frozen=True, slots=True)
class Listen:
    channel: str
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Set:
    """One of the settings that ``server.Settings`` holds."""

    name: str
    value: str
    local: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Fails unless a setting has a value."""

    name: str
    value: str


Command: TypeAlias = Query | Check | Begin | Commit | Rollback | Savepoint | Release | Listen | Set
