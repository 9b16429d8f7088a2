"""How nodes find each other through the authority: a row each, read while a node is alone.

A node writes its own row before it reads the others', so of two that start together at least one
sees the other. Who has a peer learns the rest by gossip and leaves the authority in peace.
"""

import asyncio
from collections.abc import Callable, Sequence

from gossip.address import Address, parse_address
from node import logs
from node.agent.limits import ALONE_LOOKUP_SECONDS
from store.authority import Authority, NodeRow
from store.errors import AuthorityUnavailable

log = logs.get("directory")


class Directory:
    """``row()`` is this node's row now (None: it takes no part in gossip), ``alone()`` whether it
    has no live peer, and ``join(addresses)`` is given the others' addresses."""

    def __init__(
        self,
        authority: Authority,
        row: Callable[[], NodeRow | None],
        alone: Callable[[], bool],
        join: Callable[[Sequence[Address]], None],
    ) -> None:
        self._authority = authority
        self._row = row
        self._alone = alone
        self._join = join
        self._registered: NodeRow | None = None

    async def run(self) -> None:
        """Keep the row, and look for others while there are none; until cancelled."""
        while True:
            row = self._row()
            if row is not None and (self._alone() or self._registered != row):
                try:
                    await self._look(row)
                except AuthorityUnavailable as error:
                    log.debug("can't read the other nodes' rows", reason=str(error))
            await asyncio.sleep(ALONE_LOOKUP_SECONDS)

    async def leave(self) -> None:
        """Remove this node's row; a row that stays behind is harmless."""
        row = self._registered
        if row is None:
            return
        try:
            await self._authority.forget(row.id, row.generation)
        except AuthorityUnavailable as error:
            log.info("this node's row stays in the authority", reason=str(error))

    async def _look(self, own: NodeRow) -> None:
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
        self._join(addresses)
