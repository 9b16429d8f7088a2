"""The whole state of one moment, as peers take it: in slices, or what differs from theirs."""

from collections.abc import Iterator

from store.contents import PinnedState
from store.limits import (
    ENTITIES_TOLD_BYTES,
    RANGE_ENTITIES,
    RANGES_TOLD_MAX,
    SEARCHES_MAX,
)
from store.reconcile_index import Index, Row
from store.reconcile_words import (
    Count,
    Entities,
    Items,
    Range,
    Ranges,
    Symbols,
    encode_count,
    encode_entities,
    encode_items,
    encode_ranges,
    read_question,
)
from store.snapshot_slices import encode_slices


class Giving:
    """Satisfies ``gossip.replica.Giving``. Serves any number of askers: nothing is kept of them."""

    def __init__(self, state: PinnedState, key: bytes) -> None:
        self.head = state.head
        self.state_hash = state.state_hash
        self._state = state
        self._key = key
        self._index: Index | None = None
        self._building: Iterator[None] | None = None
        self._searches: dict[tuple[bytes, ...], _Search] = {}

    def slices(self, slice_bytes: int, resume: bytes = b"") -> Iterator[bytes]:
        """Everything, or what follows the slices that an ``Installation`` says it has.

        Raises ValueError when that can't be read.
        """
        return encode_slices(self._state, slice_bytes, resume)

    def answer(self, question: bytes) -> bytes | None:
        """None while there is ``work`` to do for it. Raises ValueError for what is no question."""
        asked = read_question(question)
        if self._index is None:
            self._index = Index(self._state, self._key, summed=False)
            self._building = self._index.build()
        if isinstance(asked, Count):
            return encode_count(len(self._state))
        if self._building is not None:
            return None
        match asked:
            case Symbols(begin, end):
                return self._index.sketch.encode(begin, end)
            case Ranges(first):
                return _ranges(self._index, first)
            case Items(numbers):
                return _items(self._index, numbers)
            case Entities(items):
                return self._entities(self._index, items)

    def work(self) -> bool:
        """Do a little of what answers wait for; False when none does."""
        if self._building is not None:
            if _ended(self._building):
                self._building = None
            return True
        for search in self._searches.values():
            if search.going_on:
                search.step()
                return True
        return False

    def _entities(self, index: Index, items: tuple[bytes, ...]) -> bytes | None:
        search = self._searches.get(items)
        if search is None:
            if len(self._searches) >= SEARCHES_MAX:
                # Whoever asked first of so many has long gone elsewhere.
                del self._searches[next(iter(self._searches))]
            search = self._searches[items] = _Search(index.find(items))
            search.step()
        if search.going_on:
            return None
        del self._searches[items]
        return encode_entities(search.found)


class _Search:
    """For the entities of some items, up to the size of an answer."""

    def __init__(self, rows: Iterator[Row | None]) -> None:
        self._rows = rows
        self._size = 0
        self.found: list[Row] = []
        self.going_on = True

    def step(self) -> None:
        for row in self._rows:
            if row is None:
                return
            self.found.append(row)
            self._size += len(row[2])
            if self._size >= ENTITIES_TOLD_BYTES:
                break
        self.going_on = False


def _ranges(index: Index, first: int) -> bytes:
    """Raises ValueError when there is no such range."""
    end = min(first + RANGES_TOLD_MAX, index.ranges())
    if first >= end:
        raise ValueError(f"there is no range {first}")
    told = [
        Range(
            index.bound(number),
            index.fingerprint(number * RANGE_ENTITIES, (number + 1) * RANGE_ENTITIES),
        )
        for number in range(first, end)
    ]
    return encode_ranges(told, last=end == index.ranges())


def _items(index: Index, numbers: tuple[int, ...]) -> bytes:
    return encode_items(
        [index.items(one * RANGE_ENTITIES, (one + 1) * RANGE_ENTITIES) for one in numbers]
    )


def _ended(steps: Iterator[None]) -> bool:
    try:
        next(steps)
    except StopIteration:
        return True
    return False
