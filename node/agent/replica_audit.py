"""Hashes anew all that this node holds, again and again (DESIGN 5, audits).

Replicas compare state hashes, and each keeps its own up to date change by change. Memory that has
gone bad, or a mistake of this software's, changes an entity without a change; that shows only in
the entities themselves. One pass takes ``period`` seconds, evenly spread.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from node import logs
from node.agent.limits import AUDIT_IDLE_SECONDS, AUDIT_SECONDS
from node.agent.serving import Serving
from store.contents import PinnedState
from store.limits import SKETCH_STEP_ENTITIES

log = logs.get("replica")

Sleep = Callable[[float], Awaitable[object]]


class ReplicaAudit:
    """``replace()`` gets the state anew from wherever it can."""

    def __init__(
        self,
        serving: Serving,
        replace: Callable[[], Awaitable[None]],
        period: float = AUDIT_SECONDS,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._serving = serving
        self._replace = replace
        self._period = period
        self._sleep = sleep
        self._clock = clock
        self._pause = min(period, AUDIT_IDLE_SECONDS)
        self._replacements = 0
        self._passes = self._failures = 0
        self._finished_at: float | None = None
        self._damaged = False

    def replaced(self) -> None:
        """The replica holds another whole state."""
        self._replacements += 1
        self._damaged = False

    def counters(self) -> dict[str, int]:
        """By the names of ``node.agent.counters``."""
        return {"replica_audits": self._passes, "replica_audits_failed": self._failures}

    def status(self) -> dict[str, Any]:
        """When the last pass has ended (Unix seconds), and whether what is held is known to be
        damaged."""
        return {"finished_at": self._finished_at, "damaged": self._damaged}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if await self.look() is False:
                try:
                    await self._replace()
                except Exception as error:  # the next pass finds it again; the node goes on
                    log.error("the state can't be had anew", reason=repr(error))
            await self._sleep(self._pause)

    async def look(self) -> bool | None:
        """One pass; whether all is as it should be. None when there is nothing to look at, or it
        was replaced meanwhile."""
        if not self._serving.loaded:
            return None
        before = self._replacements
        state = self._serving.replica.pin()
        self._pause = self._period / (len(state) // SKETCH_STEP_ENTITIES + 1)
        audit = state.audit()
        sound: bool | None = None
        while before == self._replacements:
            try:
                next(audit)
            except StopIteration as end:
                sound = bool(end.value)
                break
            await self._sleep(self._pause)
        if sound is not None:
            self._note(sound, state)
        audit.close()
        _let_go(state.let_go())
        return sound

    def _note(self, sound: bool, state: PinnedState) -> None:
        self._passes += 1
        self._finished_at = self._clock()
        self._damaged = not sound
        if not sound:
            self._failures += 1
            log.error(
                "what this node holds in memory isn't what it has applied; getting it anew",
                at=state.head.version,
            )


def _let_go(steps: Iterator[None]) -> None:
    for _ in steps:
        asyncio.get_running_loop().call_soon(_let_go, steps)
        return
