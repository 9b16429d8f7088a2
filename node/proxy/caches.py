"""What a worker caches, as far as purges go: each cache by its name, and what is due again later.

A purge comes from the agent with a version. It is done at once, and again when the worker serves
that version: what a cache took in between may be older than what the purge is about.
"""

from collections.abc import Callable, Sequence

from gossip.invalidation import Awaited, By, Invalidation
from gossip.limits import PURGES_AWAITED_MAX
from node.channel import Version

Forget = Callable[[By, str], None]
"""Forget what a key or tag names, or everything; and keep nothing that is being fetched just now.
A text that means nothing to the cache is no error."""
Peek = Callable[[str], Sequence[str] | None]
"""What is cached under a key, as JSON texts; None when nothing is."""


class Caches:
    """The caches of one worker."""

    def __init__(self) -> None:
        self.purges = self.purged_again = 0
        self._forget: dict[str, Forget] = {}
        self._peek: dict[str, Peek] = {}
        self._awaited = Awaited(PURGES_AWAITED_MAX)
        self._version: Version = (0, 0, 0)

    def register(self, name: str, forget: Forget, peek: Peek | None = None) -> None:
        """A cache that purges of this name are for."""
        self._forget[name] = forget
        if peek is not None:
            self._peek[name] = peek

    def purge(self, what: Invalidation, version: Version) -> None:
        """Forget this now, and again at that version. Of a cache that isn't here: nothing."""
        self.purges += 1
        self._do(what)
        if version > self._version:
            self._awaited.add(version, what)

    def reached(self, version: Version) -> None:
        """The worker serves this version from now on."""
        self._version = version
        for what in self._awaited.reached(version):
            self.purged_again += 1
            self._do(what)

    def peek(self, key: str) -> tuple[str, ...] | None:
        """What any of the caches holds under a key, as JSON texts."""
        for peek in self._peek.values():
            found = peek(key)
            if found is not None:
                return tuple(found)
        return None

    def counters(self) -> dict[str, int]:
        """Purges as they came, and those done again."""
        return {"cache_purges": self.purges, "cache_purges_again": self.purged_again}

    def _do(self, what: Invalidation) -> None:
        forget = self._forget.get(what.cache)
        if forget is not None:
            forget(what.by, what.text)
