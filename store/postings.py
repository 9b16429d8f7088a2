"""Which entities have a term (a reference's target, a tag), in little memory.

Of a million credentials most have a consumer of their own, so most terms have one id: it is kept as
it is. Some are kept in a tuple, which the garbage collector soon leaves alone; many in a sorted
list, where one more or less doesn't cost all of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, MutableMapping

from sortedcontainers import SortedList

from store.layered import Layered, settle

_TUPLE_MAX = 64

_Ids = str | tuple[str, ...] | SortedList[str]


class Postings:
    """Ids by term, each term's in order."""

    def __init__(self) -> None:
        self._ids: MutableMapping[str, _Ids] = {}

    def shadow(self) -> "ShadowPostings":
        """The same, to be changed apart from these, which stay as they are meanwhile."""
        return ShadowPostings(self._ids)

    def __iter__(self) -> Iterator[str]:
        """The terms that an entity has."""
        return iter(self._ids)

    def count(self, term: str) -> int:
        """How many entities have it."""
        ids = self._ids.get(term, ())
        return 1 if isinstance(ids, str) else len(ids)

    def after(self, term: str, entity_id: str) -> Iterable[str]:
        """Those above an id, in order."""
        ids = self._ids.get(term, ())
        if isinstance(ids, str):
            return (ids,) if ids > entity_id else ()
        if isinstance(ids, tuple):
            return ids[bisect_right(ids, entity_id) :]
        return ids.irange(minimum=entity_id, inclusive=(False, True))

    def add(self, term: str, entity_id: str) -> None:
        """Note one that isn't noted yet."""
        ids = self._own(term)
        if ids is None:
            self._ids[term] = entity_id
        elif isinstance(ids, SortedList):
            ids.add(entity_id)
        else:
            few = (ids,) if isinstance(ids, str) else ids
            place = bisect_left(few, entity_id)
            more = (*few[:place], entity_id, *few[place:])
            self._ids[term] = more if len(more) <= _TUPLE_MAX else SortedList(more)

    def discard(self, term: str, entity_id: str) -> None:
        """Forget one that is noted."""
        ids = self._own(term)
        assert ids is not None, f"{term} isn't noted"
        if isinstance(ids, str):
            del self._ids[term]
        elif isinstance(ids, SortedList):
            ids.remove(entity_id)
            if len(ids) <= _TUPLE_MAX // 2:
                self._ids[term] = tuple(ids)
        else:
            place = bisect_left(ids, entity_id)
            fewer = ids[:place] + ids[place + 1 :]
            self._ids[term] = fewer if len(fewer) > 1 else fewer[0]

    def take_over(self, shadow: "ShadowPostings") -> None:
        """Be as a shadow of this is, at once; the shadow isn't used any more."""
        self._ids = shadow._ids

    def settle(self, step: int) -> Iterator[None]:
        """Get over having taken over a shadow, so many terms at each step."""
        self._ids = yield from settle(self._ids, step)

    def dismantle(self, step: int) -> Iterator[None]:
        """Let go of everything, so many terms at each step."""
        yield from self.settle(step)
        while self._ids:
            for _ in range(min(step, len(self._ids))):
                self._ids.popitem()
            yield

    def _own(self, term: str) -> _Ids | None:
        """Those of a term; a list may be changed in place."""
        return self._ids.get(term)


class ShadowPostings(Postings):
    """Postings as they will be."""

    def __init__(self, base: MutableMapping[str, _Ids]) -> None:
        super().__init__()
        self._ids: Layered[_Ids] = Layered(base)

    def _own(self, term: str) -> _Ids | None:
        ids = self._ids.get(term)
        if isinstance(ids, SortedList) and not self._ids.is_own(term):
            ids = self._ids[term] = SortedList(ids)
        return ids
