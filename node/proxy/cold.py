"""Look-ups of consumers and credentials, which a worker doesn't hold (DESIGN 7).

``store.cold.reader`` has the rules. Here is what it takes to wait: for the version that the file is
ahead by, and for the agent's word when the file can't settle it.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gossip.invalidation import By
from node.channel import Ask, Change, Told, Version
from node.proxy import limits
from store.changeset import Change as StoreChange
from store.cold.cache_key import read_cache_key
from store.cold.reader import Answer, ColdReader, Found, Reading, Unsettled
from store.cold.sqlite_file import SqliteColdFile
from store.version import Version as StoreVersion


class ColdUnavailable(Exception):
    """Nobody could tell in time: to be answered with 503, never taken for "no such entity"."""


class _Question(NamedTuple):
    kind: str
    field: str
    value: str
    begun: int
    """The reader's count of purges when it was asked."""
    answered: "asyncio.Future[Answer]"


class ColdLookups:
    """``ask(frame)`` sends a question to the agent; ``wall_clock()`` gives Unix seconds."""

    def __init__(
        self, path: Path, ask: Callable[[Ask], None], wall_clock: Callable[[], float]
    ) -> None:
        self._file = SqliteColdFile(path)
        self._reader = ColdReader(self._file)
        self.edition = self._reader.edition
        """The reader's, where each request finds it without a call."""
        self._ask = ask
        self._wall_clock = wall_clock
        self._numbers = itertools.count()
        self._asked: dict[int, _Question] = {}
        self._moved: asyncio.Future[None] | None = None

    def find_now(self, kind: str, field: str, value: str) -> tuple[str, ...] | None:
        """The stored texts of the entities that have this value in ``id``, a unique field or a
        reference; None when that takes waiting (``find``)."""
        answer = self._reader.find(kind, field, value, self._wall_clock())
        return answer.texts if isinstance(answer, Found) else None

    async def find(self, kind: str, field: str, value: str) -> tuple[str, ...]:
        """The same, however long it takes up to COLD_WAIT_SECONDS. Raises ColdUnavailable."""
        try:
            async with asyncio.timeout(limits.COLD_WAIT_SECONDS):
                while True:
                    answer = self._reader.find(kind, field, value, self._wall_clock())
                    if isinstance(answer, Unsettled):
                        answer = await self._ask_agent(kind, field, value)
                    if isinstance(answer, Found):
                        return answer.texts
                    await self._until_moved()
        except TimeoutError:
            raise ColdUnavailable(f"{kind}: no answer in time") from None

    def loaded(self, version: Version) -> None:
        """The worker serves another whole state."""
        self._reader.loaded(StoreVersion(*version))
        self.edition = self._reader.edition
        self._wake()

    def apply(self, version: Version, changes: Sequence[Change]) -> None:
        """The worker serves the next changeset."""
        try:
            self._reader.apply(StoreVersion(*version), (StoreChange(*each) for each in changes))
        finally:
            self.edition = self._reader.edition
        self._wake()

    def kept(self, fill: bytes, version: Version) -> None:
        """The agent vouches for the file."""
        self._reader.vouched(fill, StoreVersion(*version))
        self._wake()

    def told(self, frame: Told) -> None:
        """The agent has answered. Settled at once: it holds before whatever comes next."""
        question = self._asked.pop(frame.number, None)
        if question is None or question.answered.done():
            return
        if frame.version is None:
            problem = ColdUnavailable(f"{question.kind}: the agent holds no configuration")
            question.answered.set_exception(problem)
            return
        reading = Reading(None, StoreVersion(*frame.version), frame.rows)
        answer = self._reader.settle(
            *question[:3], reading, self._wall_clock(), begun=question.begun
        )
        question.answered.set_result(answer)

    def forget(self, by: By, text: str) -> None:
        """A purge of ``entities`` (``node.proxy.caches``)."""
        if by is By.TAG:
            self._reader.purge_tag(text)
        elif by is By.ALL:
            self._reader.purge_all()
        else:
            with contextlib.suppress(ValueError):  # of a kind that another version knows
                self._reader.purge_key(read_cache_key(text))
        self.edition = self._reader.edition

    def peek(self, key: str) -> tuple[str, ...] | None:
        """The stored texts cached under a key in Kong's form; None when none are."""
        try:
            return self._reader.peek(read_cache_key(key), self._wall_clock())
        except ValueError:
            return None

    def counters(self) -> dict[str, int]:
        """Look-ups by what answered them, and readings of the file that came to nothing."""
        reader = self._reader
        return {
            "cold_cached": reader.cached,
            "cold_read": reader.read,
            "cold_unsettled": reader.unsettled,
            "cold_file_failures": self._file.failures,
        }

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    async def _ask_agent(self, kind: str, field: str, value: str) -> Answer:
        if len(self._asked) >= limits.COLD_ASKED_MAX:
            raise ColdUnavailable(f"{kind}: too many look-ups wait for the agent")
        number = next(self._numbers)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = _Question(kind, field, value, self._reader.purges, answered)
        self._ask(Ask(number, kind, field, value))
        try:
            return await answered
        finally:
            self._asked.pop(number, None)

    async def _until_moved(self) -> None:
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._moved)

    def _wake(self) -> None:
        moved, self._moved = self._moved, None
        if moved is not None and not moved.done():
            moved.set_result(None)
