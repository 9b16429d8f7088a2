"""A client's write, from its request to its answer."""

import asyncio
from collections.abc import Sequence

from node.agent.authority_link import AuthorityLink
from node.agent.limits import COMMIT_WORKERS_SECONDS
from node.agent.workers import Workers
from store import off
from store.authority import Committed, Mutation


class Commits:
    """``off`` says that there is no database, so that entities can't be written one by one."""

    def __init__(self, link: AuthorityLink, workers: Workers, *, off: bool) -> None:
        self._link = link
        self._workers = workers
        self._off = off

    async def commit(self, mutations: Sequence[Mutation], write_id: bytes | None) -> Committed:
        """Satisfies NodeView.commit: returns once this node's own workers serve it, or soon after
        the commit at the latest."""
        if self._off:
            for mutation in mutations:
                raise off.unsupported(mutation)
        # Shielded: what is committed must be pushed, whether or not the client still listens.
        committing = asyncio.create_task(self._link.commit(mutations, write_id))
        committing.add_done_callback(_look)
        committed = await asyncio.shield(committing)
        if committed.changeset is not None:
            await self._workers.until(committed.head.version, COMMIT_WORKERS_SECONDS)
        return committed


def _look(committing: "asyncio.Future[Committed]") -> None:
    """How a write ended whose client has gone is no surprise, even if nobody is told."""
    if not committing.cancelled():
        committing.exception()
