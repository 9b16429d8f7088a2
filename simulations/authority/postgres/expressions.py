"""Parses expressions; the weakest binding first."""

from collections.abc import Callable

from simulations.authority.postgres.syntax import (
    COMPARISONS,
    FUNCTIONS,
    SESSION,
    SPECIAL,
    And,
    AnyOf,
    Call,
    Case,
    Cast,
    Column,
    Constant,
    Count,
    Exists,
    Expression,
    Greatest,
    InList,
    InSelect,
    IsNull,
    Not,
    Operation,
    Or,
    Parameter,
    RowValue,
    Scalar,
    Select,
    Subscript,
)
from simulations.authority.postgres.tokens import Cursor

_CONSTANTS = {"null": None, "true": True, "false": False}


class Expressions:
    """``parse_select`` reads what stands in brackets and begins with SELECT."""

    def __init__(self, cursor: Cursor, parse_select: Callable[[], Select]) -> None:
        self._cursor = cursor
        self._select = parse_select

    def parse(self) -> Expression:
        items = [self._conjunction()]
        while self._cursor.accept("or"):
            items.append(self._conjunction())
        return items[0] if len(items) == 1 else Or(tuple(items))

    def list(self) -> tuple[Expression, ...]:
        items = [self.parse()]
        while self._cursor.accept(","):
            items.append(self.parse())
        return tuple(items)

    def _conjunction(self) -> Expression:
        items = [self._negation()]
        while self._cursor.accept("and"):
            items.append(self._negation())
        return items[0] if len(items) == 1 else And(tuple(items))

    def _negation(self) -> Expression:
        if self._cursor.accept("not"):
            return Not(self._negation())
        return self._predicate()

    def _predicate(self) -> Expression:
        left = self._sum()
        cursor = self._cursor
        if cursor.peek().text in COMPARISONS and cursor.peek().kind == "symbol":
            operator = cursor.next().text
            if operator == "=" and cursor.accept("any ("):
                array = self.parse()
                cursor.expect(")")
                return AnyOf(left, array)
            return Operation(operator, left, self._sum())
        if cursor.accept("is null"):
            return IsNull(left)
        if cursor.accept("is not null"):
            return Not(IsNull(left))
        if cursor.accept("between"):
            low = self._sum()
            cursor.expect("and")
            return And((Operation(">=", left, low), Operation("<=", left, self._sum())))
        if cursor.accept("not in"):
            return Not(self._membership(left))
        if cursor.accept("in"):
            return self._membership(left)
        return left

    def _membership(self, left: Expression) -> Expression:
        self._cursor.expect("(")
        if self._cursor.at_words("select"):
            found: Expression = InSelect(left, self._select())
        else:
            found = InList(left, self.list())
        self._cursor.expect(")")
        return found

    def _sum(self) -> Expression:
        left = self._cast()
        while self._cursor.peek().kind == "symbol" and self._cursor.peek().text in ("+", "-", "||"):
            left = Operation(self._cursor.next().text, left, self._cast())
        return left

    def _cast(self) -> Expression:
        item = self._primary()
        while True:
            if self._cursor.accept("::"):
                item = self._type_of(item)
            elif self._cursor.accept("["):
                item = Subscript(item, self.parse())
                self._cursor.expect("]")
            else:
                return item

    def _type_of(self, item: Expression) -> Cast:
        kind = self._cursor.word()
        if kind == "double":
            self._cursor.expect("precision")
            kind = "double precision"
        return Cast(item, kind, self._cursor.accept("[ ]"))

    def _primary(self) -> Expression:
        cursor = self._cursor
        token = cursor.next()
        if token.kind == "parameter":
            return Parameter(int(token.text))
        if token.kind == "number":
            return Constant(int(token.text))
        if token.kind == "text":
            return Constant(token.text)
        if token == ("symbol", "("):
            return self._bracketed()
        if token.kind != "word":
            cursor.fail(f"an expression expected, not '{token.text}'")
        if token.text in _CONSTANTS:
            return Constant(_CONSTANTS[token.text])
        match token.text:
            case "exists":
                cursor.expect("(")
                select = self._select()
                cursor.expect(")")
                return Exists(select)
            case "case":
                return self._case()
            case "cast":
                cursor.expect("(")
                item = self.parse()
                cursor.expect("as")
                cast = self._type_of(item)
                cursor.expect(")")
                return cast
        if cursor.accept("("):
            return self._call(token.text)
        if cursor.accept("."):
            return Column(cursor.word(), token.text)
        return Column(token.text)

    def _bracketed(self) -> Expression:
        if self._cursor.at_words("select"):
            scalar = Scalar(self._select())
            self._cursor.expect(")")
            return scalar
        items = self.list()
        self._cursor.expect(")")
        return items[0] if len(items) == 1 else RowValue(items)

    def _case(self) -> Expression:
        branches = []
        while self._cursor.accept("when"):
            condition = self.parse()
            self._cursor.expect("then")
            branches.append((condition, self.parse()))
        otherwise = self.parse() if self._cursor.accept("else") else Constant(None)
        self._cursor.expect("end")
        return Case(tuple(branches), otherwise)

    def _call(self, function: str) -> Expression:
        if function == "max":
            item = self.parse()
            self._cursor.expect(")")
            return Greatest(item)
        if function == "count":
            self._cursor.expect("* )")
            return Count()
        if function not in (*FUNCTIONS, *SPECIAL, *SESSION):
            self._cursor.fail(f"the function {function} isn't modelled")
        arguments = () if self._cursor.at_words(")") else self.list()
        self._cursor.expect(")")
        return Call(function, arguments)
