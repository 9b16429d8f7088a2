"""Answers that hold at the worker's version: the least recently used go first, and each is read
anew after some time, since nobody looks whether memory keeps it as it was."""

from collections import OrderedDict

from store.cold import limits
from store.cold.overlay import Key, Rows, Term


class Cache:
    """Bounded by answers and bytes."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Term, tuple[float, Rows]] = OrderedDict()
        """With the time when each was read."""
        self._terms_of: dict[Key, dict[Term, None]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, term: Term, now: float) -> Rows | None:
        """The entities that have this term; None when that isn't known here, or no longer."""
        found = self._answers.get(term)
        if found is None:
            return None
        read_at, rows = found
        if not 0 <= now - read_at < limits.CACHE_SECONDS_MAX:  # clocks are set back, too
            self.drop(term)
            return None
        self._answers.move_to_end(term)
        return rows

    def put(self, term: Term, rows: Rows, now: float) -> None:
        """Keep an answer that was read just now (Unix seconds)."""
        self.drop(term)
        self._answers[term] = now, rows
        self._bytes += _size(rows)
        for entity_id, _, _ in rows:
            self._terms_of.setdefault((term[0], entity_id), {})[term] = None
        while len(self._answers) > limits.CACHE_ANSWERS_MAX or self._bytes > limits.CACHE_BYTES_MAX:
            self.drop(next(iter(self._answers)))

    def drop(self, term: Term) -> None:
        """Forget an answer."""
        found = self._answers.pop(term, None)
        if found is None:
            return
        rows = found[1]
        self._bytes -= _size(rows)
        for entity_id, _, _ in rows:
            key = (term[0], entity_id)
            terms = self._terms_of.get(key)
            if terms is not None:
                terms.pop(term, None)
                if not terms:
                    del self._terms_of[key]

    def changed(self, key: Key) -> None:
        """An entity has changed: forget every answer that it is in."""
        for term in tuple(self._terms_of.get(key, ())):
            self.drop(term)

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()
        self._terms_of.clear()
        self._bytes = 0


def _size(rows: Rows) -> int:
    return sum(len(row.text) for row in rows) + limits.SHARED_BYTES
