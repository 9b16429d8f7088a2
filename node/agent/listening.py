"""Listens for commits at the authority, if this node is one of the few that do.

A change travels by gossip; but its writer may die between the commit and the push, and others than
nodes may write (``grapevine config db_import``). A poll would find that within seconds, a listener
does at once (DESIGN 4, point 6).
"""

import asyncio
import contextlib
import hashlib
import heapq
from collections.abc import Callable, Iterable

from node import logs
from node.agent.authority_link import AuthorityLink
from node.agent.limits import LISTENERS, LISTENERS_LOOK_SECONDS
from node.agent.membership import Membership
from store.errors import AuthorityUnavailable
from store.poll import patience

log = logs.get("authority")


def listeners(node_ids: Iterable[str], authority_id: str) -> list[str]:
    """Who listens: the first of the nodes ranked by a hash, so that one node doesn't do it for all
    the authorities that it is asked about, and all agree without a word."""

    def rank(node_id: str) -> bytes:
        return hashlib.sha256(f"{authority_id} {node_id}".encode()).digest()

    return heapq.nsmallest(LISTENERS, node_ids, key=rank)


class Listening:
    """``heard(revision)`` is told what the authority tells."""

    def __init__(
        self,
        own_id: Callable[[], str],
        link: AuthorityLink,
        membership: Membership,
        heard: Callable[[int], None],
    ) -> None:
        self._own_id = own_id
        self._link = link
        self._membership = membership
        self._heard = heard
        self._told = ""
        self._judged: tuple[str, set[str]] | None = None
        """(authority id, node ids of the live members) when it was judged last who listens."""
        self._listeners: list[str] = []

    def poll_patience(self, interval: float) -> float:
        """How many seconds this node leaves it to those that listen to poll, too."""
        if self._link.info is None or self._is_for_this_node():
            return 0.0
        return patience(interval, len(self._membership.alive()))

    def listeners(self) -> list[str]:
        """The node ids of those that listen, and poll for all."""
        info = self._link.info
        if info is None:
            return []
        # Asked each second: members are ranked anew only when other ones live.
        among = info.id, self._membership.alive()
        if among != self._judged:
            self._judged = among
            self._listeners = listeners(among[1], info.id)
        return self._listeners

    async def run(self) -> None:
        """Listen whenever it is for this node to, until cancelled."""
        while True:
            watching: asyncio.Task[None] | None = None
            try:
                while self._should_listen():
                    if watching is None:
                        watching = asyncio.create_task(self._watch())
                    await asyncio.wait({watching}, timeout=LISTENERS_LOOK_SECONDS)
                    if watching.done():
                        break
            finally:
                if watching is not None:
                    watching.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await watching
            await asyncio.sleep(LISTENERS_LOOK_SECONDS)

    def _should_listen(self) -> bool:
        return self._link.reachable and self._is_for_this_node()

    def _is_for_this_node(self) -> bool:
        return self._own_id() in self.listeners()

    async def _watch(self) -> None:
        """Until it fails, which is told once for each reason: commits are then found by polling."""
        try:
            await self._link.authority.watch(self._heard)
        except AuthorityUnavailable as error:
            if str(error) != self._told:
                self._told = str(error)
                log.warning("can't listen for commits", reason=self._told)
