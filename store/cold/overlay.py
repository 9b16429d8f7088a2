"""The cold changes that a worker has applied and the replica file hasn't: values and deletions."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from store.cold import limits
from store.version import Version

Term = tuple[str, str, str]
"""(kind, field, value)."""
Key = tuple[str, str]
"""(kind, id)."""


class Row(NamedTuple):
    """An entity."""

    id: str
    text: str
    """As stored."""
    expires_at: float | None
    """Unix seconds, from which on it counts for nothing; None: never."""
    tags: tuple[str, ...] = ()


Rows = tuple[Row, ...]


class Entry(NamedTuple):
    """The last state of an entity."""

    version: Version
    """Of the changeset that made it."""
    row: Row | None
    """None: deleted."""
    terms: tuple[Term, ...]


class Overlay:
    """Bounded; once it is full, ``put`` says so and keeps nothing."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._ids_of_terms: dict[Term, dict[str, None]] = {}
        self._order: deque[tuple[Version, Key]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        """The last change of an entity that the file hasn't."""
        return self._entries.get(key)

    def having(self, term: Term) -> Iterator[Row]:
        """The entities that have this term."""
        kind = term[0]
        for entity_id in self._ids_of_terms.get(term, ()):
            row = self._entries[kind, entity_id].row
            if row is not None:
                yield row

    def put(self, key: Key, entry: Entry) -> bool:
        """Keep a change; False when there is no room for it."""
        self._remove(key)
        self._entries[key] = entry
        self._order.append((entry.version, key))
        self._bytes += _size(entry)
        for term in entry.terms:
            self._ids_of_terms.setdefault(term, {})[key[1]] = None
        return (
            len(self._order) <= limits.OVERLAY_ENTITIES_MAX
            and self._bytes <= limits.OVERLAY_BYTES_MAX
        )

    def prune(self, version: Version) -> None:
        """The file has everything up to this version."""
        while self._order and self._order[0][0] <= version:
            at, key = self._order.popleft()
            entry = self._entries.get(key)
            if entry is not None and entry.version == at:
                self._remove(key)

    def clear(self) -> None:
        """Keep nothing."""
        self._entries.clear()
        self._ids_of_terms.clear()
        self._order.clear()
        self._bytes = 0

    def _remove(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= _size(entry)
        for term in entry.terms:
            ids = self._ids_of_terms[term]
            del ids[key[1]]
            if not ids:
                del self._ids_of_terms[term]


def _size(entry: Entry) -> int:
    return (0 if entry.row is None else len(entry.row.text)) + limits.SHARED_BYTES
