"""The syntax of kong.conf: ``key = value`` lines, ``#`` comments, ``\\#`` for the sign itself.

As in Kong, a line that begins with ``;`` is a comment too, a backslash at the end of a line joins
the next one to it, and quotes around a whole value are dropped. Inside quotes ``#`` needs no
backslash. Whatever is no such line is reported with its number; nothing is skipped in silence.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from node.config.bounded_file import read_bounded
from node.config.limits import ENTRIES_MAX, FILE_BYTES_MAX, LINE_BYTES_MAX

SEARCHED_PATHS = (
    "grapevine.conf",
    "/etc/grapevine/grapevine.conf",
    "/etc/kong/kong.conf",
    "/etc/kong.conf",
)
"""Where a file is looked for when none is named; the first that exists is taken (DESIGN 9)."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"""(['"])(.*?)\1\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?<!\\)#")
_SHOWN_CHARS = 60


class Entry(NamedTuple):
    """One ``key = value`` of a file."""

    key: str
    value: str
    line: int
    """From 1; of the first line where several are joined."""


class Parsed(NamedTuple):
    """What a file says, and what is wrong with it (each beginning with a line number)."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


def find(searched: tuple[str, ...] = SEARCHED_PATHS) -> str | None:
    """The file that is taken when none is named; None without any."""
    return next((path for path in searched if Path(path).exists()), None)


def read(path: str) -> bytes:
    """The bytes of a configuration file. Raises ValueError naming the file and the way out."""
    return read_bounded(path, FILE_BYTES_MAX)


def parse(content: bytes) -> Parsed:
    """Read a file's bytes. Total: every input gives entries and problems."""
    entries: list[Entry] = []
    problems: list[str] = []
    for number, line in _logical_lines(content.removeprefix(b"\xef\xbb\xbf")):
        try:
            entry = _entry(number, line)
        except ValueError as error:
            problems.append(f"{number}: {error}")
            continue
        if entry:
            entries.append(entry)
        if len(entries) > ENTRIES_MAX:
            problems.append(f"{number}: more than {ENTRIES_MAX} keys; is it the right file?")
            break
    return Parsed(tuple(entries), tuple(problems))


def _logical_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; those that end in a backslash are joined with the next."""
    pending: list[bytes] = []
    first = 0
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.removesuffix(b"\r")
        first = first or number
        comment = not pending and line.lstrip().startswith((b"#", b";"))
        if line.endswith(b"\\") and not comment:
            pending.append(line[:-1])
            continue
        yield first, b"".join((*pending, line))
        pending, first = [], 0
    if pending:
        yield first, b"".join(pending)


def _entry(number: int, raw: bytes) -> Entry | None:
    """The entry of one line, None for a blank or a comment. Raises ValueError."""
    if len(raw) > LINE_BYTES_MAX:
        raise ValueError(f"a line of {len(raw)} bytes; {LINE_BYTES_MAX} are allowed")
    if b"\0" in raw:
        raise ValueError("holds a NUL byte; is it a text file?")
    try:
        line = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"is no UTF-8 at byte {error.start + 1} (0x{raw[error.start]:02x}); save it as UTF-8"
        ) from None
    if not line or line[0] in "#;":
        return None
    if line.startswith("["):
        raise ValueError(f"{line[:_SHOWN_CHARS]!r}: sections aren't known; write `key = value`")
    key, equals, rest = line.partition("=")
    if not equals:
        # Only the first word is shown: what follows may be a secret.
        word = line.split()[0][:_SHOWN_CHARS]
        raise ValueError(f"{word!r}: has no `=` after it; write `key = value`")
    key = key.strip()
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"{key[:_SHOWN_CHARS]!r}: is no key; write letters, digits and underscores before `=`"
        )
    return Entry(key, _value(rest.strip()), number)


def _value(text: str) -> str:
    """A value without its comment, its quotes, and backslashes before ``#``."""
    if quoted := _QUOTED.fullmatch(text):
        return quoted[2]
    shown = _COMMENT.split(text, maxsplit=1)[0]
    return shown.replace("\\#", "#").strip()
