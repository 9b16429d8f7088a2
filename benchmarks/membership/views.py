"""What each agent believes of each other one, from its lines, with the time of each change."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.membership.systems import Kind, Said

DEAD: tuple[Kind, ...] = ("failed", "left")


class AgentsFailed(Exception):
    """Agents ended, or didn't come up; the message says what they said last."""


class Heard(NamedTuple):
    """One observer's word about one subject; ``at`` is ``time.monotonic()``."""

    at: float
    observer: str
    subject: str
    kind: Kind


class Views:
    """The views of a fixed set of agents; what one says of itself or of strangers is ignored.

    Where a system doesn't tell that a suspicion is over (``tells_recovery``), a suspicion is noted
    and changes no view.
    """

    def __init__(self, names: list[str], *, tells_recovery: bool = True) -> None:
        self.names = names
        self._tells_recovery = tells_recovery
        self.history: list[Heard] = []
        self._beliefs: dict[tuple[str, str], Kind] = {}
        self._holders: Counter[tuple[str, Kind]] = Counter()
        self._alive = 0
        self.whole_since = 0.0
        """The time of the line that last made everybody see everybody alive."""
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._known = frozenset(names)

    def hear(self, at: float, observer: str, said: Said) -> None:
        """Take in a line about a member."""
        if said.member == observer or said.member not in self._known:
            return
        self.history.append(Heard(at, observer, said.member, said.kind))
        was_whole = self.whole()
        if said.kind != "suspect" or self._tells_recovery:
            self._believe(observer, said.member, said.kind)
        if self.whole() and not was_whole:
            self.whole_since = at
        for condition, waiter in self._waiters:
            if not waiter.done() and condition():
                waiter.set_result(None)

    def forget(self, observer: str) -> None:
        """The observer's process has ended: it believes nothing any more."""
        for subject in self.names:
            self._believe(observer, subject, None)

    def fail(self, error: AgentsFailed) -> None:
        """Whoever waits gets this error."""
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def whole(self) -> bool:
        """Whether everybody sees everybody alive."""
        return self._alive == len(self.names) * (len(self.names) - 1)

    def holders(self, subject: str, kinds: tuple[Kind, ...]) -> int:
        """How many believe one of these of a member."""
        return sum(self._holders[subject, kind] for kind in kinds)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition became true in time. Raises AgentsFailed."""
        if condition():
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (condition, waiter)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._waiters.remove(entry)
        return True

    def _believe(self, observer: str, subject: str, kind: Kind | None) -> None:
        old = self._beliefs.pop((observer, subject), None)
        if old is not None:
            self._holders[subject, old] -= 1
            self._alive -= old == "alive"
        if kind is not None:
            self._beliefs[observer, subject] = kind
            self._holders[subject, kind] += 1
            self._alive += kind == "alive"
