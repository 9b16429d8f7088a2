"""A dict as it will be, while it still is as it was: what changes stands beside it.

Once it is to be so, this takes its place as it stands, whatever the number of changes, and settles
into it by and by.
"""

from collections.abc import Generator, Iterator, MutableMapping
from typing import TypeVar

Value = TypeVar("Value")


class Layered(MutableMapping[str, Value]):
    """What it is laid over must not be changed by others any more once this is to settle."""

    def __init__(self, base: MutableMapping[str, Value]) -> None:
        self.base = base
        self._put: dict[str, Value] = {}
        self._gone: set[str] = set()
        """Keys of the base that aren't there any more."""

    def __getitem__(self, key: str) -> Value:
        if key in self._put:
            return self._put[key]
        if key in self._gone:
            raise KeyError(key)
        return self.base[key]

    def __setitem__(self, key: str, value: Value) -> None:
        self._put[key] = value
        self._gone.discard(key)

    def __delitem__(self, key: str) -> None:
        put = self._put.pop(key, None) is not None
        if key in self.base and key not in self._gone:
            self._gone.add(key)
        elif not put:
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield from self._put
        yield from (key for key in self.base if key not in self._put and key not in self._gone)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def is_own(self, key: str) -> bool:
        """Whether the value isn't the base's, so that it may be changed in place."""
        return key in self._put

    def settle(self, step: int) -> Iterator[None]:
        """Change the base, so many keys at each step; nothing else changes by that. In the end the
        base is as this is."""
        while self._put or self._gone:
            for _ in range(min(step, len(self._put))):
                key, value = self._put.popitem()
                self.base[key] = value
            for _ in range(min(step, len(self._gone))):
                del self.base[self._gone.pop()]
            yield


def settle(
    mapping: MutableMapping[str, Value], step: int
) -> Generator[None, None, MutableMapping[str, Value]]:
    """What is to stand in the place of a dict that may be layered, once that has settled."""
    while isinstance(mapping, Layered):
        yield from mapping.settle(step)
        mapping = mapping.base
    return mapping
