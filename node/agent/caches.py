"""What this node's workers cache, and what the whole cluster is to forget (DESIGN 4, point 7)."""

import asyncio
import itertools
from collections.abc import Callable

from gossip.events import Purged
from gossip.invalidation import By, Invalidation
from gossip.messages.purges import Purge
from node import channel
from node.admin.node_view import Purging
from node.agent.limits import PEEK_SECONDS
from node.agent.workers import Workers
from node.caches import NAMES
from store.version import Version


class Caches:
    """Satisfies node.admin.node_view.CachesView.

    ``spread(what)`` has every member purge, which ``purged`` is told of here; ``served()`` is the
    version of the replica.
    """

    def __init__(
        self,
        workers: Workers,
        spread: Callable[[Invalidation], Purge],
        served: Callable[[], Version],
    ) -> None:
        self._workers = workers
        self._spread = spread
        self._served = served
        self._numbers = itertools.count()
        self._asked: dict[int, _Question] = {}
        workers.on_peeked = self._peeked

    def invalidate(self, what: Invalidation) -> Purging:
        """Have every node forget something."""
        made = self._spread(what)
        return Purging(made.source.node_id, made.sequence)

    def purged(self, event: Purged) -> None:
        """A purge, of this node or another, that is to be done here."""
        self._tell(event.what, Version(*event.version))

    def forget(self, key: str | None) -> None:
        """Have this node alone forget what a key names, or all that it has cached."""
        by, text = (By.ALL, "") if key is None else (By.KEY, key)
        for name in NAMES:
            self._tell(Invalidation(name, by, text), self._served())

    async def peek(self, key: str) -> tuple[str, ...] | None:
        """What the first worker that has something has cached under a key."""
        number = next(self._numbers)
        asked = self._workers.say(channel.Peek(number, key))
        question = self._asked[number] = _Question(asked)
        try:
            async with asyncio.timeout(PEEK_SECONDS):
                return await question.found
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    def counters(self) -> dict[str, int]:
        """Purges that workers did, and those that they did again at a version."""
        counted = self._workers.counters()
        return {name: counted.get(name, 0) for name in ("cache_purges", "cache_purges_again")}

    def _tell(self, what: Invalidation, version: Version) -> None:
        self._workers.say(channel.Purge(what.cache, what.by, what.text, version))

    def _peeked(self, answer: channel.Peeked) -> None:
        question = self._asked.get(answer.number)
        if question is not None:
            question.answered(answer.texts)


class _Question:
    """Answered by the first worker that has something, or once all have nothing."""

    def __init__(self, asked: int) -> None:
        self.found: asyncio.Future[tuple[str, ...] | None]
        self.found = asyncio.get_running_loop().create_future()
        self._open = asked
        if not asked:
            self.found.set_result(None)

    def answered(self, texts: tuple[str, ...] | None) -> None:
        self._open -= 1
        if (texts is not None or self._open <= 0) and not self.found.done():
            self.found.set_result(texts)
