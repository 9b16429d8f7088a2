"""What caches are told to forget, and what of it is due again at a later version."""

from enum import IntEnum
from typing import NamedTuple

from sortedcontainers import SortedDict

from gossip.replica import Version


class By(IntEnum):
    """How what is to be forgotten is named. The numbers are on the wire."""

    KEY = 0
    TAG = 1
    ALL = 2
    """Whatever that cache holds; there is no text."""


class Invalidation(NamedTuple):
    """What one cache of every node is to forget."""

    cache: str
    by: By
    text: str


class Awaited:
    """Invalidations by the version at which they are due again.

    A purge may overtake the write that it is about: what a cache is filled with until that write
    is applied is the old answer. Bounded: where there are more than ``most``, they become one for
    each cache, of all that it holds, at the highest version among them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_version: SortedDict[Version, dict[Invalidation, None]] = SortedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, version: Version, what: Invalidation) -> None:
        """This is due again once that version is reached."""
        at = self._by_version.setdefault(version, {})
        self._count += what not in at
        at[what] = None
        if self._count > self._most:
            self._merge()

    def reached(self, version: Version) -> list[Invalidation]:
        """Those that are due at this version or were before; each is given once."""
        due: list[Invalidation] = []
        while self._by_version and self._by_version.peekitem(0)[0] <= version:
            due += self._by_version.popitem(0)[1]
        self._count -= len(due)
        return due

    def _merge(self) -> None:
        highest = self._by_version.peekitem(-1)[0]
        caches = [what.cache for at in self._by_version.values() for what in at]
        self._by_version.clear()
        merged = dict.fromkeys(Invalidation(cache, By.ALL, "") for cache in caches[-self._most :])
        self._by_version[highest] = merged
        self._count = len(merged)
