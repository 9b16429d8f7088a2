"""Deletes what has expired, now and then, on one node of the cluster (``store.expiry``)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from node import logs
from node.agent.limits import SWEEP_PAUSE_SECONDS, SWEEP_SECONDS
from store.authority import Mutation
from store.errors import AuthorityUnavailable, EntityError
from store.expiry import Sweep
from store.replica import Replica

log = logs.get("node")


class Sweeping:
    """``is_due()`` tells whether it is for this node to sweep now; ``commit`` writes."""

    def __init__(
        self,
        replica: Replica,
        is_due: Callable[[], bool],
        commit: Callable[[Sequence[Mutation]], Awaitable[object]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._replica = replica
        self._is_due = is_due
        self._commit = commit
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if not self._is_due():
                continue
            try:
                deleted = await self.sweep()
            except (AuthorityUnavailable, EntityError) as error:
                log.warning("what has expired can't be deleted now", reason=str(error))
                continue
            if deleted:
                log.info("deleted what has expired", count=deleted)

    async def sweep(self) -> int:
        """Once over everything that may have expired; answers how much of it has.

        Raises AuthorityUnavailable and EntityError.
        """
        sweep, deleted = Sweep(), 0
        while sweep.query is not None:
            deletions = sweep.take(self._replica.list(sweep.query), self._clock())
            if deletions:
                await self._commit(deletions)
                deleted += len(deletions)
            await asyncio.sleep(SWEEP_PAUSE_SECONDS)
        return deleted
