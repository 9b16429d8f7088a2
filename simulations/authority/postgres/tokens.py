"""SQL text as tokens, and a cursor over them."""

import re
from typing import NamedTuple, NoReturn

from simulations.authority.postgres.syntax import Unmodelled

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*)
    |(?P<word>[A-Za-z_][A-Za-z_0-9]*)
    |(?P<quoted>"[^"]+")
    |(?P<number>[0-9]+)
    |(?P<parameter>\$[0-9]+)
    |(?P<text>'(?:[^']|'')*')
    |(?P<symbol><>|<=|>=|\|\||::|[=<>(),;+*.\[\]-])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    kind: str
    text: str
    """A word in lower case; a text without its quotes."""


def tokens(sql: str) -> list[Token]:
    """Raises Unmodelled for a character that begins no token."""
    found = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise Unmodelled(f"no token at '{sql[at : at + 20]}' in: {sql}")
        at = match.end()
        kind, text = match.lastgroup or "", match.group()
        if kind == "word":
            text = text.lower()
        elif kind == "quoted":
            kind, text = "word", text[1:-1]
        elif kind == "text":
            text = text[1:-1].replace("''", "'")
        elif kind == "parameter":
            text = text[1:]
        if kind != "blank":
            found.append(Token(kind, text))
    found.append(Token("end", ""))
    return found


class Cursor:
    """Reads tokens one after another."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._tokens = tokens(sql)
        self._at = 0

    def peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def next(self) -> Token:
        token = self.peek()
        self._at += 1
        return token

    def at_words(self, words: str) -> bool:
        """Whether these words (or symbols) come next."""
        return all(
            self.peek(ahead).kind in ("word", "symbol") and self.peek(ahead).text == word
            for ahead, word in enumerate(words.lower().split())
        )

    def accept(self, words: str) -> bool:
        """Pass these words if they come next."""
        if not self.at_words(words):
            return False
        self._at += len(words.split())
        return True

    def expect(self, words: str) -> None:
        if not self.accept(words):
            self.fail(f"'{words}' expected")

    def word(self) -> str:
        """A name."""
        token = self.next()
        if token.kind != "word":
            self.fail(f"a name expected, not '{token.text}'")
        return token.text

    def names(self) -> tuple[str, ...]:
        """``(a, b, c)``"""
        self.expect("(")
        found = [self.word()]
        while self.accept(","):
            found.append(self.word())
        self.expect(")")
        return tuple(found)

    def fail(self, why: str) -> NoReturn:
        raise Unmodelled(f"{why} at '{self.peek().text}' in: {self._sql}")
