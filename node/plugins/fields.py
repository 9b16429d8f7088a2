"""Header fields and query arguments, to read and to edit.

Text is UTF-8 where it is, and bytes that aren't survive a round trip (``surrogateescape``).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote_from_bytes, unquote_to_bytes

from node.proxy import fields

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = frozenset(
    (
        fields.CONNECTION,
        fields.CONTENT_LENGTH,
        fields.TRANSFER_ENCODING,
        fields.UPGRADE,
        fields.EXPECT,
        fields.HOP,
        fields.OURS,
        -1,
    )
)
"""Kinds of fields that are ours to write, and what is no field at all."""

Pair = tuple[bytes, bytes]


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def field_value(text: str) -> bytes:
    """A field's value that can't end its line: control characters are percent-encoded, as
    OpenResty does it."""
    return _CONTROL.sub(lambda match: b"%%%02X" % match[0][0], bytes_of(text))


def is_settable(name: bytes) -> bool:
    """Whether a field of that name may be set: framing and connections are ours."""
    return fields.kind_of(name) not in _FRAMING


class Headers:
    """The fields of a message. Names are compared without regard to case.

    ``special`` are further ones, which can be read, but whose changes lead to nothing.
    """

    __slots__ = ("_by_name", "_special", "edited", "pairs")

    def __init__(self, pairs: Sequence[Pair], special: dict[str, str] | None = None) -> None:
        self.pairs = pairs
        """In order."""
        self.edited = False
        self._special = special or {}
        self._by_name: dict[str, list[str]] | None = None

    def _index(self) -> dict[str, list[str]]:
        index = self._by_name
        if index is None:
            index = self._by_name = {name: [value] for name, value in self._special.items()}
            for name, value in self.pairs:
                index.setdefault(text_of(name.lower()), []).append(text_of(value))
        return index

    def get(self, name: str) -> str | None:
        """The first value; None without any."""
        values = self._index().get(name.lower())
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """All values."""
        return list(self._index().get(name.lower(), ()))

    def names(self) -> Iterable[str]:
        """Lower-cased, each once."""
        return list(self._index())

    def set(self, name: str, *values: str) -> None:
        """Put these in place of all values; fields of framing and connections stay as they are."""
        self.remove(name)
        self.add(name, *values)

    def add(self, name: str, *values: str) -> None:
        """Put these behind what is there."""
        key = bytes_of(name)
        if not is_settable(key):
            return
        index = self._index().setdefault(name.lower(), [])
        added = [(key, field_value(value)) for value in values]
        index += [text_of(value) for _, value in added]
        self.pairs = [*self.pairs, *added]
        self.edited = True

    def remove(self, name: str) -> None:
        """Take all values out."""
        lowered = name.lower()
        if lowered not in self._index():
            return
        self._index().pop(lowered)
        key = bytes_of(lowered)
        self.pairs = [pair for pair in self.pairs if pair[0].lower() != key]
        self.edited = True


class Arguments:
    """Names and values of a query or of a form, in order. A name without ``=`` has the value
    None."""

    __slots__ = ("edited", "pairs")

    def __init__(self, pairs: list[tuple[str, str | None]]) -> None:
        self.pairs = pairs
        self.edited = False

    @classmethod
    def parse(cls, encoded: bytes) -> "Arguments":
        """Read what stands behind a question mark, or in a form."""
        pairs: list[tuple[str, str | None]] = []
        for part in encoded.split(b"&"):
            if part:
                name, equals, value = part.replace(b"+", b" ").partition(b"=")
                pairs.append((_decoded(name), _decoded(value) if equals else None))
        return cls(pairs)

    def encode(self) -> bytes:
        """As it is sent."""
        return b"&".join(
            _encoded(name) if value is None else _encoded(name) + b"=" + _encoded(value)
            for name, value in self.pairs
        )

    def __contains__(self, name: object) -> bool:
        return any(own == name for own, _ in self.pairs)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self.pairs))

    def get(self, name: str) -> str | None:
        """The first value; None for no such name and for one without a value."""
        return next((value for own, value in self.pairs if own == name), None)

    def all(self, name: str) -> list[str | None]:
        """All values."""
        return [value for own, value in self.pairs if own == name]

    def set(self, name: str, *values: str | None) -> None:
        """Put these in place of all values, where the first one stood."""
        position = next((at for at, pair in enumerate(self.pairs) if pair[0] == name), None)
        self.remove(name)
        at = len(self.pairs) if position is None else position
        self.pairs[at:at] = [(name, value) for value in values]
        self.edited = True

    def add(self, name: str, value: str | None) -> None:
        """Put one behind what is there."""
        self.pairs.append((name, value))
        self.edited = True

    def remove(self, name: str) -> None:
        """Take all values out."""
        kept = [pair for pair in self.pairs if pair[0] != name]
        if len(kept) != len(self.pairs):
            self.pairs = kept
            self.edited = True

    def rename(self, name: str, to: str) -> None:
        """Let the values of one name be those of another, in place of its own."""
        if name in self and name != to:
            self.remove(to)
            self.pairs = [(to if own == name else own, value) for own, value in self.pairs]
            self.edited = True


def _decoded(part: bytes) -> str:
    return text_of(unquote_to_bytes(part))


def _encoded(text: str) -> bytes:
    return quote_from_bytes(bytes_of(text), safe="").encode()
