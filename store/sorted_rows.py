"""Rows sorted by id, of which a whole view can be pinned at the price of a counter.

The rows stand in chunks. A pin shares all of them; whoever changes one afterwards copies that one
first, and the rest stays shared (copy on write). So neither taking a view nor changing under it
costs more in a large table than in a small one, and what a view alone still needs goes with it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from operator import attrgetter, lt
from typing import NamedTuple

CHUNK_ROWS = 512
"""Rows of a chunk that was filled in order. It is split when it has twice as many."""

Keys = tuple[str | None, ...]
"""What a row is found by; opaque here."""


class Row(NamedTuple):
    """What is kept of one entity."""

    text: bytes
    keys: Keys


class _Chunk:
    """Some rows, in three columns. Its ids are ``floor`` or above, and below the next one's."""

    __slots__ = ("__weakref__", "age", "floor", "ids", "keys", "texts")

    def __init__(
        self, floor: str, age: int, ids: list[str], texts: list[bytes], keys: list[Keys]
    ) -> None:
        self.floor = floor
        self.age = age
        """Which of the table's ages may still write to it: none but the one that made it."""
        self.ids = ids
        self.texts = texts
        self.keys = keys

    def cut(self, begin: int, end: int, age: int) -> "_Chunk":
        """A copy of some of it."""
        floor = self.ids[begin] if begin else self.floor
        return _Chunk(floor, age, self.ids[begin:end], self.texts[begin:end], self.keys[begin:end])


_floor = attrgetter("floor")


class PinnedRows:
    """The rows of one moment, for as long as somebody reads them."""

    def __init__(self, chunks: list[_Chunk], count: int) -> None:
        self._chunks = chunks
        self._count = count

    def __len__(self) -> int:
        return self._count

    def items(self, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """(id, text), by id; those above ``after``."""
        return _items(self._chunks, after)

    def get(self, entity_id: str) -> bytes | None:
        row = _find(self._chunks, entity_id)
        return None if row is None else row.text

    def let_go(self) -> Iterator[None]:
        """Hold nothing any more: what only this view still needs goes some at each step."""
        chunks, self._chunks, self._count = self._chunks.copy(), [], 0
        while chunks:
            chunks.pop()
            yield


class SortedRows:
    """The rows as they are now."""

    def __init__(self) -> None:
        self._age = 0
        self._listed_at = 0
        """The age that made the list of chunks."""
        self._chunks: list[_Chunk] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def pin(self) -> PinnedRows:
        """A view that later changes don't reach."""
        self._age += 1
        return PinnedRows(self._chunks, self._count)

    def fork(self) -> "SortedRows":
        """The same rows, to be changed apart from these."""
        self._age += 1
        fork = SortedRows()
        fork._age, fork._chunks, fork._count = self._age, self._chunks, self._count
        return fork

    def items(self, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """(id, text), by id; not to be read across a change."""
        return _items(self._chunks, after)

    def get(self, entity_id: str) -> Row | None:
        return _find(self._chunks, entity_id)

    def put(self, entity_id: str, row: Row) -> Row | None:
        """Insert or replace; the row that was there."""
        chunks = self._chunks
        if not chunks or (len(chunks[-1].ids) >= CHUNK_ROWS and chunks[-1].ids[-1] < entity_id):
            floor = entity_id if chunks else ""
            self._list().append(_Chunk(floor, self._age, [entity_id], [row.text], [row.keys]))
            self._count += 1
            return None
        at = bisect_right(chunks, entity_id, key=_floor) - 1
        chunk = self._writable(at)
        place = bisect_left(chunk.ids, entity_id)
        if place < len(chunk.ids) and chunk.ids[place] == entity_id:
            old = Row(chunk.texts[place], chunk.keys[place])
            chunk.texts[place], chunk.keys[place] = row
            return old
        chunk.ids.insert(place, entity_id)
        chunk.texts.insert(place, row.text)
        chunk.keys.insert(place, row.keys)
        self._count += 1
        if len(chunk.ids) >= 2 * CHUNK_ROWS:
            size = len(chunk.ids)
            halves = chunk.cut(0, CHUNK_ROWS, self._age), chunk.cut(CHUNK_ROWS, size, self._age)
            self._list()[at : at + 1] = halves
        return None

    def extend(self, rows: Mapping[str, Row]) -> bool:
        """Insert many behind all others, as ``put`` of each would; False, and nothing is done,
        unless their ids ascend from above the last one."""
        ids = list(rows)
        is_behind = not self._chunks or not ids or self._chunks[-1].ids[-1] < ids[0]
        if not is_behind or not all(map(lt, ids, islice(ids, 1, None))):
            return False
        texts, keys = [row.text for row in rows.values()], [row.keys for row in rows.values()]
        begin = 0
        if self._chunks:
            last = self._writable(len(self._chunks) - 1)
            begin = max(CHUNK_ROWS - len(last.ids), 0)
            last.ids += ids[:begin]
            last.texts += texts[:begin]
            last.keys += keys[:begin]
        for at in range(begin, len(ids), CHUNK_ROWS):
            floor, end = ids[at] if self._chunks else "", at + CHUNK_ROWS
            chunk = _Chunk(floor, self._age, ids[at:end], texts[at:end], keys[at:end])
            self._list().append(chunk)
        self._count += len(ids)
        return True

    def pop(self, entity_id: str) -> Row | None:
        """Remove; the row that was there."""
        if _find(self._chunks, entity_id) is None:
            return None
        at = bisect_right(self._chunks, entity_id, key=_floor) - 1
        chunk = self._writable(at)
        place = bisect_left(chunk.ids, entity_id)
        del chunk.ids[place]
        self._count -= 1
        old = Row(chunk.texts.pop(place), chunk.keys.pop(place))
        if not chunk.ids:
            chunks = self._list()
            del chunks[at]
            if at == 0 and chunks:
                self._writable(0).floor = ""
        return old

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, some at each step: a million rows are not freed in a moment."""
        chunks, self._chunks, self._count = self._list(), [], 0
        while chunks:
            chunks.pop()
            yield

    def _list(self) -> list[_Chunk]:
        """The list of chunks, to be changed."""
        if self._listed_at != self._age:
            self._chunks = self._chunks.copy()
            self._listed_at = self._age
        return self._chunks

    def _writable(self, at: int) -> _Chunk:
        """A chunk, to be changed."""
        chunk = self._chunks[at]
        if chunk.age != self._age:
            chunk = chunk.cut(0, len(chunk.ids), self._age)
            self._list()[at] = chunk
        return chunk


def _find(chunks: list[_Chunk], entity_id: str) -> Row | None:
    at = bisect_right(chunks, entity_id, key=_floor) - 1
    if at < 0:
        return None
    chunk = chunks[at]
    place = bisect_left(chunk.ids, entity_id)
    if place == len(chunk.ids) or chunk.ids[place] != entity_id:
        return None
    return Row(chunk.texts[place], chunk.keys[place])


def _items(chunks: list[_Chunk], after: str | None) -> Iterator[tuple[str, bytes]]:
    at = place = 0
    if after is not None and chunks:
        at = max(bisect_right(chunks, after, key=_floor) - 1, 0)
        place = bisect_right(chunks[at].ids, after)
    for chunk in chunks[at:]:
        yield from zip(chunk.ids[place:], chunk.texts[place:], strict=True)
        place = 0
