"""Header fields and query arguments, to read and to edit.

Text is UTF-8 where it is, and bytes that aren't survive a round trip (``surrogateescape``).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from node.proxy import fields, limits
from node.proxy.heads import Remembered

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
Index = dict[bytes, tuple[bytes, ...]]
"""Values by lower-cased name."""


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def field_value(text: str) -> bytes:
    """A field's value that can't end its line: control characters are percent-encoded, as
    OpenResty does it."""
    if text.isascii() and text.isprintable():
        return text.encode()
    value = bytes_of(text)
    return _CONTROL.sub(lambda match: b"%%%02X" % match[0][0], value)


class _Name(NamedTuple):
    """A field's name as a plugin spells it."""

    key: bytes
    """Lower-cased."""
    name: bytes
    settable: bool
    """Framing and connections are ours."""


_names: dict[str, _Name] = {}


def _name_of(text: str) -> _Name:
    found = _names.get(text)
    if found is None:
        name = bytes_of(text)
        found = _Name(name.lower(), name, fields.kind_of(name) not in _FRAMING)
        if len(_names) < limits.FIELD_NAMES_MAX:
            _names[text] = found
    return found


def index_of(pairs: Sequence[Pair], special: Mapping[bytes, bytes]) -> Index:
    """The values of all fields by name."""
    index: Index = {name: (value,) for name, value in special.items()}
    for name, value in pairs:
        key = name.lower()
        there = index.get(key)
        index[key] = (value,) if there is None else (*there, value)
    return index


Field = tuple[bytes, bytes, bytes]
"""Lower-cased name, name and value."""


def fields_of(lines: bytes) -> list[Field]:
    """The fields of lines that were prepared: ``Name: value``, each with its line's end."""
    parts = [line.partition(b": ") for line in lines.split(b"\r\n") if line]
    return [(name.lower(), name, value) for name, _, value in parts]


class Edit:
    """Fields to be put in place of what there is, or taken out: prepared once, for many requests.

    ``values`` has the text by name; an empty one takes the field out.
    """

    __slots__ = ("added", "removed")

    def __init__(self, values: Mapping[str, str]) -> None:
        known = [(_name_of(name), value) for name, value in values.items()]
        self.removed = frozenset(name.key for name, value in known if name.settable or not value)
        self.added: list[Field] = [
            (name.key, name.name, field_value(value))
            for name, value in known
            if value and name.settable
        ]

    def without(self, name: str) -> "Edit":
        """The same edit, which takes that field out, too."""
        key = _name_of(name).key
        edit = Edit({})
        edit.removed = self.removed | {key}
        edit.added = [field for field in self.added if field[0] != key]
        return edit


class EditedFields:
    """What fields came to by the edits of plugins."""

    __slots__ = ("added", "edit", "plain", "remembered", "removed")

    def __init__(self, headers: "Headers") -> None:
        self.edit: Edit | None = None
        """The one that it was, if it was one that had been prepared."""
        self.removed = headers.removed
        self.added = headers.added
        self.plain = tuple(headers.pairs)
        self.remembered = Remembered()


class Headers:
    """The fields of a message. Names are compared without regard to case.

    What is changed is noted, and put together with what was there once, when it is sent or read.
    """

    __slots__ = ("_base", "_current", "_index", "_settled", "added", "removed")

    def __init__(
        self, base: Sequence[Pair] | Callable[[], Sequence[Pair]], index: Index | None = None
    ) -> None:
        """``index`` is that of ``base``, and of fields that can be read but aren't sent on from
        here; others may share it. Without one, ``base`` is what is there before `rebase`."""
        self._base = base
        self._index = index
        self._settled = index is not None
        self._current: Index | None = None
        """With what was changed; None when that has changed since."""
        self.removed: frozenset[bytes] = frozenset()
        """Names, lower-cased, whose values in the base don't count."""
        self.added: list[Field] = []

    def rebase(self, base: Callable[[], Sequence[Pair]]) -> None:
        """What it is about is there now; what was changed before still holds."""
        self._base, self._index, self._current = base, None, None
        self._settled = True

    @property
    def edited(self) -> bool:
        return bool(self.removed or self.added)

    @property
    def pairs(self) -> Sequence[Pair]:
        """All fields, in order."""
        base = self._base_pairs()
        if not self.edited:
            return base
        removed = self.removed
        kept = [pair for pair in base if pair[0].lower() not in removed]
        return [*kept, *[(name, value) for _, name, value in self.added]]

    def _base_pairs(self) -> Sequence[Pair]:
        if callable(self._base):
            self._base = self._base()
        return self._base

    def _values(self) -> Index:
        if self._current is None:
            if self._index is None:
                self._index = index_of(self._base_pairs(), {})
            self._current = self._index
            if self.edited:
                self._current = index = {
                    key: values for key, values in self._index.items() if key not in self.removed
                }
                for key, _, value in self.added:
                    index[key] = (*index.get(key, ()), value)
        return self._current

    def get(self, name: str) -> str | None:
        """The first value; None without any."""
        values = self._values().get(_name_of(name).key)
        return text_of(values[0]) if values else None

    def all(self, name: str) -> list[str]:
        """All values."""
        return [text_of(value) for value in self._values().get(_name_of(name).key, ())]

    def names(self) -> Iterable[str]:
        """Lower-cased, each once."""
        return [text_of(name) for name in self._values()]

    def set(self, name: str, *values: str) -> None:
        """Put these in place of all values; fields of framing and connections stay as they are."""
        known = _name_of(name)
        if known.settable:
            self._remove(known.key)
            self._add(known, values)

    def add(self, name: str, *values: str) -> None:
        """Put these behind what is there."""
        known = _name_of(name)
        if known.settable:
            self._add(known, values)

    def remove(self, name: str) -> None:
        """Take all values out."""
        self._remove(_name_of(name).key)

    def apply(self, removed: frozenset[bytes], added: list[Field]) -> None:
        """Take these names out, then add fields that were prepared; what is given isn't changed."""
        self._current = None
        if self.added:
            kept = [field for field in self.added if field[0] not in removed]
            self.added = kept + added
        else:
            self.added = added
        self.removed = self.removed | removed if self.removed else removed

    def _add(self, known: _Name, values: tuple[str, ...]) -> None:
        key, name, _ = known
        self.added = [*self.added, *[(key, name, field_value(value)) for value in values]]
        self._current = None

    def _remove(self, key: bytes) -> None:
        self._current = None
        if self.added:
            self.added = [field for field in self.added if field[0] != key]
        if not (self._settled and self._index is not None and key not in self._index):
            self.removed = self.removed | {key}


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
