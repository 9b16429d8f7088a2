"""A pinned state as its items in order, to find what differs from another (``store.reconcile``).

Built from the entities as they lie in memory, never from what was kept change by change: a state
whose memory is damaged must not answer for what it should hold.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from blake3 import blake3

from store.contents import PinnedState
from store.limits import RANGE_ENTITIES, SEARCH_STEP_ITEMS, SKETCH_STEP_ENTITIES, SKETCH_SYMBOLS_MAX
from store.sketch import ITEM_BYTES, Sketch, item_of
from store.state_hash import StateSum, element, identify

Key = tuple[str, str]
"""(kind, id), in whose order entities stand."""

Row = tuple[str, str, bytes]
"""(kind, id, stored text)."""

FINGERPRINT_BYTES = 16


class Index:
    """The items of a state, its sketch and, where ``summed``, the sum of its elements."""

    def __init__(self, state: PinnedState, key: bytes, *, summed: bool) -> None:
        self.state = state
        self.sketch = Sketch(0, SKETCH_SYMBOLS_MAX)
        self.sum = StateSum()
        self._key = key
        self._summed = summed
        self._items = bytearray()
        self._bounds: list[Key] = []
        """The key of the last entity of each whole range."""

    def __len__(self) -> int:
        return len(self._items) // ITEM_BYTES

    def build(self) -> Iterator[None]:
        """Take in the state, some entities at each step.

        All symbols that may ever be asked for are made at once: an item is in 12 of the first 512
        and in 17 of 8,192, so going through everything again for more of them would cost more.
        """
        for number, row in enumerate(self.state.rows(), start=1):
            message = identify(*row)
            item = item_of(self._key, message)
            self._items += item
            self.sketch.add(item)
            if self._summed:
                self.sum.add(element(message))
            if number % RANGE_ENTITIES == 0:
                self._bounds.append(row[:2])
            if number % SKETCH_STEP_ENTITIES == 0:
                yield

    def ranges(self) -> int:
        """How many there are; the last one is empty, or isn't whole."""
        return len(self._bounds) + 1

    def bound(self, number: int) -> Key | None:
        """The key at which a range ends; None for the last one, which takes in all above."""
        return self._bounds[number] if number < len(self._bounds) else None

    def items(self, begin: int, end: int) -> bytes:
        """Those at some places, one after another."""
        return bytes(self._items[begin * ITEM_BYTES : end * ITEM_BYTES])

    def item(self, place: int) -> bytes:
        """The one at a place."""
        return self.items(place, place + 1)

    def fingerprint(self, begin: int, end: int) -> bytes:
        """What stands for the items at some places."""
        return blake3(self.items(begin, end)).digest(length=FINGERPRINT_BYTES)

    def place_after(self, key: Key) -> int:
        """How many entities have this key or one below it."""
        number = bisect_right(self._bounds, key)
        place = number * RANGE_ENTITIES
        for row in self._rows_from(number):
            if row[:2] > key:
                break
            place += 1
        return place

    def find(self, wanted: Iterable[bytes]) -> Iterator[Row | None]:
        """The entities of these items, in order; None after each step of the search."""
        sought = frozenset(wanted)
        items, size = self._items, ITEM_BYTES
        for begin in range(0, len(items), SEARCH_STEP_ITEMS * size):
            end = min(begin + SEARCH_STEP_ITEMS * size, len(items))
            span = range(begin, end, size)
            places = [at // size for at in span if bytes(items[at : at + size]) in sought]
            yield None
            for place in places:
                yield self._row(place)

    def _row(self, place: int) -> Row:
        number, further = divmod(place, RANGE_ENTITIES)
        rows = self._rows_from(number)
        for _ in range(further):
            next(rows)
        return next(rows)

    def _rows_from(self, number: int) -> Iterator[Row]:
        return self.state.rows(self._bounds[number - 1] if number else None)
