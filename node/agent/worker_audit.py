"""Tells the workers all that they should hold, again and again, a slice at a time (DESIGN 5).

The channel is ordered: at the point where a slice arrives, the worker has applied what the replica
had when it was sent. A worker that holds something else gets the whole state anew. One pass takes
``period`` seconds, evenly spread; cold kinds are left out, which workers look up and forget again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from node import logs
from node.agent.limits import (
    AUDIT_IDLE_SECONDS,
    AUDIT_SECONDS,
    AUDIT_SLICE_BYTES,
    AUDIT_SLICE_CHANGES,
)
from node.agent.serving import Serving
from node.agent.worker import Worker
from node.agent.workers import Workers
from node.channel import Audit, Change
from store.contents import PinnedState
from store.schema import cold_kinds

log = logs.get("workers")

Sleep = Callable[[float], Awaitable[object]]
Key = tuple[str, str]


class WorkerAudit:
    """One node's."""

    def __init__(
        self,
        serving: Serving,
        workers: Workers,
        period: float = AUDIT_SECONDS,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._serving = serving
        self._workers = workers
        self._period = period
        self._sleep = sleep
        self._clock = clock
        self._pause = min(period, AUDIT_IDLE_SECONDS)
        self._passes = self._failures = 0
        self._finished_at: float | None = None
        self._difference = ""
        self._fed: set[Worker] = set()
        """Workers that got the state anew in this pass."""
        self._owed: list[Worker] = []
        """Workers that get it in the next one."""
        workers.on_differs = self.differs

    def counters(self) -> dict[str, int]:
        """By the names of ``node.agent.counters``."""
        return {"worker_audits": self._passes, "worker_audits_failed": self._failures}

    def status(self) -> dict[str, Any]:
        """When the last pass has ended (Unix seconds), and what was found to be different last."""
        return {"finished_at": self._finished_at, "last_difference": self._difference or None}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._sleep(self._pause)

    async def look(self) -> None:
        """One pass."""
        self._fed.clear()
        owed, self._owed = self._owed, []
        for worker in owed:
            self._feed(worker)
        after: Key | None = None
        while self._serving.loaded:
            state = self._serving.replica.pin()
            counts = state.counts(cold_kinds())
            rows = _slice(state, after)
            self._workers.audit(Audit(rows, counts))
            self._pause = self._period / (sum(counts.values()) // AUDIT_SLICE_CHANGES + 1)
            if not rows:
                self._passes += 1
                self._finished_at = self._clock()
                return
            after = rows[-1][:2]
            await self._sleep(self._pause)

    def differs(self, worker: Worker, what: str) -> None:
        """A worker holds something else than it was sent."""
        self._failures += 1
        self._difference = what
        again = worker in self._fed
        log.error(
            "a worker holds something else than it was sent",
            worker=worker.slot,
            pid=worker.pid,
            what=what,
            getting_it_anew=not again,
        )
        if again:  # it isn't memory then: once in a pass is enough
            self._owed.append(worker)
        else:
            self._feed(worker)

    def _feed(self, worker: Worker) -> None:
        self._fed.add(worker)
        self._workers.feed_anew(worker)


def _slice(state: PinnedState, after: Key | None) -> tuple[Change, ...]:
    """The entities that follow a key; none after the last one."""
    rows: list[Change] = []
    size = 0
    for kind, entity_id, text in state.rows(after, leave_out=cold_kinds()):
        rows.append((kind, entity_id, text.decode()))
        size += len(text)
        if len(rows) >= AUDIT_SLICE_CHANGES or size >= AUDIT_SLICE_BYTES:
            break
    return tuple(rows)
