"""Answers that hold at the worker's version: the least recently used go first, and each is read
anew after some time, since nobody looks whether memory keeps it as it was."""

from collections import OrderedDict
from typing import Generic, TypeVar

from store.cold import limits
from store.cold.overlay import Key, Rows, Term

Subject = TypeVar("Subject")


class _Index(Generic[Subject]):
    """Answers by what is in them."""

    def __init__(self) -> None:
        self._terms: dict[Subject, dict[Term, None]] = {}

    def get(self, subject: Subject) -> tuple[Term, ...]:
        return tuple(self._terms.get(subject, ()))

    def add(self, subject: Subject, term: Term) -> None:
        self._terms.setdefault(subject, {})[term] = None

    def drop(self, subject: Subject, term: Term) -> None:
        terms = self._terms.get(subject)
        if terms is not None:
            terms.pop(term, None)
            if not terms:
                del self._terms[subject]

    def clear(self) -> None:
        self._terms.clear()


class Cache:
    """Bounded by answers and bytes."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Term, tuple[float, Rows]] = OrderedDict()
        """With the time when each was read."""
        self._terms_of = _Index[Key]()
        self._terms_of_tag = _Index[str]()
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

    def peek(self, term: Term) -> Rows | None:
        """The same, without counting as a use."""
        found = self._answers.get(term)
        return None if found is None else found[1]

    def put(self, term: Term, rows: Rows, now: float) -> None:
        """Keep an answer that was read just now (Unix seconds)."""
        self.drop(term)
        self._answers[term] = now, rows
        self._bytes += _size(rows)
        for row in rows:
            self._terms_of.add((term[0], row.id), term)
            for tag in row.tags:
                self._terms_of_tag.add(tag, term)
        while len(self._answers) > limits.CACHE_ANSWERS_MAX or self._bytes > limits.CACHE_BYTES_MAX:
            self.drop(next(iter(self._answers)))

    def drop(self, term: Term) -> None:
        """Forget an answer."""
        found = self._answers.pop(term, None)
        if found is None:
            return
        rows = found[1]
        self._bytes -= _size(rows)
        for row in rows:
            self._terms_of.drop((term[0], row.id), term)
            for tag in row.tags:
                self._terms_of_tag.drop(tag, term)

    def changed(self, key: Key) -> None:
        """An entity has changed: forget every answer that it is in."""
        for term in self._terms_of.get(key):
            self.drop(term)

    def purge(self, term: Term) -> None:
        """Forget an answer, and every other that has an entity of it."""
        for row in self.peek(term) or ():
            self.changed((term[0], row.id))
        self.drop(term)

    def purge_tag(self, tag: str) -> None:
        """Forget every answer with an entity that has this tag."""
        for term in self._terms_of_tag.get(tag):
            self.purge(term)

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()
        self._terms_of.clear()
        self._terms_of_tag.clear()
        self._bytes = 0


def _size(rows: Rows) -> int:
    return sum(len(row.text) for row in rows) + limits.SHARED_BYTES
