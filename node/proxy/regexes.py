"""Expressions of routes: compiled for a linear-time engine, and what can be told of them
beforehand, so that most are never run.

What a path must begin with is where a candidate stands in the index. What it must hold somewhere is
looked for first: that costs a twentieth of running the expression.
"""

import re

import re2

from node.proxy import limits
from node.proxy.entities import EntityRefused

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = limits.REGEX_MEMORY_BYTES_MAX

_LITERAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-,%=@!~:;'&")
_QUANTIFIERS = frozenset("*?+{")
_FLAGS = re.compile(r"\(\?[^:P<]")
_REACHES_BACK = re.compile(rf"[*?+{{]|{_FLAGS.pattern}|\\Q")
"""What may say how often the character before it stands there: a quantifier, and what one may come
after. RE2 reads ``a(?i)*`` and ``a\\Q\\E*`` as ``a*``."""
_ESCAPED = frozenset("./-_~+*?()[]{}$^|")


def compile_regex(regex: str, what: str) -> "re2._Regexp[bytes]":
    """Raises EntityRefused, with ``what`` before the expression."""
    try:
        return re2.compile(regex.encode(), _OPTIONS)
    except re2.error as error:
        raise EntityRefused(f"{what}{regex}: not an expression that RE2 knows: {error}") from error


def literal_prefix(regex: str) -> bytes:
    """Characters that every match of the expression begins with; possibly fewer than there are."""
    text = regex.removeprefix("^")
    if "|" in text:
        return b""  # which alternative the prefix belongs to isn't worth finding out
    prefix: list[str] = []
    position = 0
    while position < len(text):
        character, width = _literal_at(text, position)
        if not character or _REACHES_BACK.match(text, position + width):
            break
        prefix.append(character)
        position += width
    return "".join(prefix).encode()


def required_literal(regex: str) -> str:
    """The longest run of characters, ASCII all, that every match of the expression holds after its
    literal prefix; empty when none is found.

    Only what stands outside of groups and classes is taken into account. Anything unusual (a flag,
    an alternative, a quoted run) ends the search with nothing.
    """
    text = regex.removeprefix("^")
    if "|" in text or "\\Q" in text or _FLAGS.search(text):
        return ""
    runs: list[str] = [""]
    position = 0
    while position < len(text):
        character, width = _literal_at(text, position)
        if not character:
            width = _skipped(text, position)
            if not width:
                return ""
            runs.append("")
            position += width
            continue
        follower = text[position + width : position + width + 1]
        if follower and follower in _QUANTIFIERS:
            runs.append("")
        else:
            runs[-1] += character
        position += width
    return max(runs[1:], key=len, default="")


def searchable(path: bytes) -> str:
    """A path as what required literals are looked for in. Python takes 25 ns for that, but 150 to
    look for bytes in bytes; and of a hundred expressions, each may be looked for."""
    return path.decode("latin-1")


def _literal_at(text: str, position: int) -> tuple[str, int]:
    """The character that stands for itself here, and its width; empty when none does."""
    character = text[position]
    if character == "\\" and text[position + 1 : position + 2] in _ESCAPED:
        return text[position + 1 : position + 2], 2
    return (character, 1) if character in _LITERAL else ("", 0)


def _skipped(text: str, position: int) -> int:
    """How long the group, class, repetition or escape is that begins here; 0 when unsure."""
    character = text[position]
    if character == "(":
        return _group_width(text, position)
    if character == "[":
        return _class_width(text, position)
    if character == "{":
        end = text.find("}", position)
        return end + 1 - position if end >= 0 else 0
    if character == "\\":
        # \d \w \b and their like; what takes an argument (\x41, \pL) is left alone.
        return 2 if text[position + 1 : position + 2] in tuple("dDwWsSbBAz") else 0
    return 1 if character in ".*+?^$" or not character.isascii() or character in ' "<>`#' else 0


def _group_width(text: str, start: int) -> int:
    depth, position = 0, start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 2
            continue
        if character == "[":
            width = _class_width(text, position)
            if not width:
                return 0
            position += width
            continue
        depth += (character == "(") - (character == ")")
        position += 1
        if not depth:
            return position - start
    return 0


def _class_width(text: str, start: int) -> int:
    position = start + 1
    if text[position : position + 1] == "^":
        position += 1
    if text[position : position + 1] == "]":
        position += 1
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 2
        elif character == "[":
            return 0  # perhaps [[:alpha:]]
        elif character == "]":
            return position + 1 - start
        else:
            position += 1
    return 0
