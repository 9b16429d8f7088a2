"""Templates in values: ``$(headers.name)``, ``$(query_params.a or "none")``.

In Kong what stands between the parentheses is Lua. Here it is the part of it that has to do with
requests, evaluated without a Lua: the names ``headers``, ``query_params``, ``uri_captures`` and
``shared`` with ``.name``, ``["name"]`` or ``[1]`` behind them; strings and numbers; ``..``, ``and``
and ``or``; parentheses. Whatever else there is to Lua (calls, comparisons, arithmetic, functions)
is refused when the plugin is configured.
"""

import re
from collections.abc import Callable
from typing import Any

from node.plugins import limits
from node.plugins.context import Context

Value = Any
Expression = Callable[[Context], Value]

NAMES = ("headers", "query_params", "uri_captures", "shared")

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>\.\.|[.\[\]()])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class TemplateRefused(ValueError):
    """A template that says more than can be evaluated here."""


class Template:
    """A value, compiled."""

    __slots__ = ("_parts",)

    def __init__(self, text: str) -> None:
        """Raises TemplateRefused."""
        if "$(" in text and len(text) > limits.TEMPLATE_CHARS_MAX:
            raise TemplateRefused(f"a template of {len(text)} characters is too long")
        self._parts: list[str | Expression] = list(_parts(text))

    def render(self, context: Context) -> str:
        """The value for a request; what isn't there leaves nothing."""
        if len(self._parts) == 1 and isinstance(self._parts[0], str):
            return self._parts[0]
        return "".join(
            part if isinstance(part, str) else _shown(part(context)) for part in self._parts
        )


def _parts(text: str) -> Any:
    position = 0
    while (start := text.find("$(", position)) >= 0:
        if start > position:
            yield text[position:start]
        parser = _Parser(text, start + 2)
        yield parser.whole()
        position = parser.position
    if position < len(text) or not text:
        yield text[position:]


class _Parser:
    """Recursive descent over one expression, up to the parenthesis that closes it."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self.position = start
        self._depth = 0
        self._kind = self._token = ""
        self._next()

    def whole(self) -> Expression:
        expression = self._or()
        if self._token != ")" or self._kind != "sign":
            raise self._refused()
        return expression

    def _refused(self) -> TemplateRefused:
        shown = self._text[self._start - 2 : self._start + 80]
        return TemplateRefused(
            f"the template '{shown}' is more than can be evaluated here: "
            f"{', '.join(NAMES)} with .name or [\"name\"], strings, numbers, '..', 'and', 'or'"
        )

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self.position)
        if match is None or match.lastgroup is None:
            raise self._refused()
        self._kind, self._token = match.lastgroup, match[match.lastgroup]
        self.position = match.end()

    def _takes(self, token: str) -> bool:
        if self._token != token or self._kind == "string":
            return False
        self._next()
        return True

    def _or(self) -> Expression:
        left = self._and()
        while self._takes("or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Expression:
        left = self._joined()
        while self._takes("and"):
            left = _both(left, self._joined())
        return left

    def _joined(self) -> Expression:
        left = self._primary()
        while self._takes(".."):
            left = _join(left, self._primary())
        return left

    def _primary(self) -> Expression:
        kind, token = self._kind, self._token
        if kind == "string":
            self._next()
            return _constant(_ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), token[1:-1]))
        if kind == "number":
            self._next()
            return _constant(float(token) if "." in token else int(token))
        if token == "(":
            self._depth += 1
            if self._depth > limits.TEMPLATE_DEPTH_MAX:
                raise self._refused()
            self._next()
            inner = self._or()
            if not self._takes(")"):
                raise self._refused()
            self._depth -= 1
            return inner
        if token in ("nil", "true", "false"):
            self._next()
            return _constant({"nil": None, "true": True, "false": False}[token])
        if token not in NAMES:
            raise self._refused()
        self._next()
        return self._indexed(token)

    def _indexed(self, name: str) -> Expression:
        keys: list[str | int] = []
        while True:
            if self._takes("."):
                if self._kind != "name":
                    raise self._refused()
                keys.append(self._token)
                self._next()
            elif self._takes("["):
                kind, token = self._kind, self._token
                if kind == "string":
                    keys.append(_ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), token[1:-1]))
                elif kind == "number" and token.isdigit():
                    keys.append(int(token))
                else:
                    raise self._refused()
                self._next()
                if not self._takes("]"):
                    raise self._refused()
            else:
                break
        if not keys or (len(keys) > 1 and name != "shared"):
            raise self._refused()
        return _look_up(name, keys)


def _constant(value: Value) -> Expression:
    return lambda context: value


def _truth(value: Value) -> bool:
    """Lua's: all but nil and false are true."""
    return value is not None and value is not False


def _either(left: Expression, right: Expression) -> Expression:
    def evaluate(context: Context) -> Value:
        value = left(context)
        return value if _truth(value) else right(context)

    return evaluate


def _both(left: Expression, right: Expression) -> Expression:
    def evaluate(context: Context) -> Value:
        value = left(context)
        return right(context) if _truth(value) else value

    return evaluate


def _join(left: Expression, right: Expression) -> Expression:
    def evaluate(context: Context) -> Value:
        values = left(context), right(context)
        if None in values:
            raise ValueError("a template joins what isn't there to a text")
        return "".join(_shown(value) for value in values)

    return evaluate


def _look_up(name: str, keys: list[str | int]) -> Expression:
    key = keys[0]
    if name == "headers":
        text = str(key)
        return lambda context: (
            context.headers.get(text) or context.headers.get(text.replace("_", "-"))
        )
    if name == "query_params":
        return lambda context: _argument(context, str(key))
    if name == "uri_captures":
        return lambda context: context.captures.get(key)

    def shared(context: Context) -> Value:
        value: Value = context.shared
        for each in keys:
            value = value.get(each) if isinstance(value, dict) else None
        return value

    return shared


def _argument(context: Context, name: str) -> Value:
    """As in Kong, an argument without a value is true."""
    values = context.query.all(name)
    return None if not values else True if values[0] is None else values[0]


def _shown(value: Value) -> str:
    if not _truth(value):
        return ""
    if value is True:
        return "true"
    return f"{value:.14g}" if isinstance(value, float) else str(value)
