"""How nodes find each other through the authority: a row each, read while a node is alone.

A node writes its own row before it reads the others', so of two that start together at least one
sees the other. Who has a peer learns the rest by gossip and leaves the authority in peace. With
each new connection to the authority the row is looked at again (the database may have been
restored), and gossip is told who was forced out meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from gossip.address import Address, parse_address
from node import logs
from node.agent.limits import ALONE_LOOKUP_SECONDS, GONE_PENDING_MAX, REMOVALS_TOLD_MAX
from node.agent.removals import Removals
from store.authority import Authority, NodeRow, Removal
from store.errors import AuthorityUnavailable

log = logs.get("directory")


class Registered(Protocol):
    """This node's membership, as far as rows go."""

    def row(self) -> NodeRow | None:
        """This node's row now; None while it takes no part in gossip."""

    def alone(self) -> bool:
        """Whether it has no live peer."""

    def join(self, addresses: Sequence[Address]) -> None:
        """Look for members there."""

    def removed(self, removals: Sequence[Removal]) -> None:
        """These were forced out."""


class Directory:
    """``connection()`` counts the connections to the authority; 0 while there is none."""

    def __init__(
        self,
        authority: Authority,
        membership: Registered,
        removals: Removals,
        connection: Callable[[], int],
    ) -> None:
        self._authority = authority
        self._membership = membership
        self._removals = removals
        self._connection = connection
        self._seen = 0
        self._registered: NodeRow | None = None
        self._gone: dict[str, int] = {}

    async def run(self) -> None:
        """Keep the row, and look for others while there are none; until cancelled."""
        while True:
            try:
                await self.look()
            except AuthorityUnavailable as error:
                log.debug("can't keep to the nodes' rows", reason=str(error))
            await asyncio.sleep(ALONE_LOOKUP_SECONDS)

    async def look(self) -> None:
        """Do at the authority what is due. Raises AuthorityUnavailable."""
        connection = self._connection()
        if not connection:
            return
        row = self._membership.row()
        new = connection != self._seen
        if row is not None and (new or self._membership.alone() or self._registered != row):
            await self._keep_row(row)
        if new:
            removals = await self._authority.removals()
            # The latest last: it is kept longest.
            self._membership.removed(removals[REMOVALS_TOLD_MAX - 1 :: -1])
            self._seen = connection
        while self._gone:
            node_id, generation = next(iter(self._gone.items()))
            await self._authority.forget(node_id, generation)
            self._gone.pop(node_id, None)
        await self._removals.tell()

    async def tell(self) -> None:
        """Tell the authority now who was forced out. Raises AuthorityUnavailable."""
        if not self._connection():
            raise AuthorityUnavailable("not connected")
        await self._removals.tell()

    def gone(self, node_id: str, generation: int) -> None:
        """A member has left the listing: its row is no use any more."""
        self._gone[node_id] = generation
        if len(self._gone) > GONE_PENDING_MAX:
            del self._gone[next(iter(self._gone))]

    async def leave(self) -> None:
        """Remove this node's row; a row that stays behind is harmless."""
        row = self._registered
        if row is None:
            return
        try:
            await self._authority.forget(row.id, row.generation)
        except AuthorityUnavailable as error:
            log.info("this node's row stays in the authority", reason=str(error))

    async def _keep_row(self, own: NodeRow) -> None:
        if self._registered != own:
            await self._authority.register(own)
            self._registered = own
        rows = await self._authority.nodes()
        if own not in rows:
            await self._authority.register(own)
        addresses = []
        for row in rows:
            try:
                if row.id != own.id:
                    addresses.append(parse_address(row.address))
            except ValueError as error:
                log.warning("another node's row is no use", name=row.name, reason=str(error))
        self._membership.join(addresses)
