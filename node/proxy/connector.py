"""New connections to a service: its name resolved, its addresses tried in turn."""

import asyncio
import socket
import ssl
from typing import Literal

from node.proxy.entities import Service
from node.proxy.resolver import Address, ResolutionFailed, Resolver
from node.proxy.stats import Stats
from node.proxy.upstream import Pool, PoolKey, Upstream
from node.proxy.upstream_tls import TlsTo


class ConnectFailed(Exception):
    """No connection came about; the message says why, of the last try."""

    def __init__(self, kind: Literal["resolution", "timeout", "refused"], reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def pool_key(service: Service, tls: TlsTo | None) -> PoolKey:
    """Which connections can serve a service."""
    return PoolKey(service.host, service.port, tls)


class Connector:
    """Opens connections; the pool gets them back when their first exchange is done."""

    def __init__(self, resolver: Resolver, pool: Pool, stats: Stats) -> None:
        self._resolver = resolver
        self._pool = pool
        self._stats = stats

    async def connect(self, service: Service, tls: TlsTo | None) -> Upstream:
        """Connect, with ``service.retries`` further tries, and each address at least once.

        Raises ConnectFailed.
        """
        try:
            addresses = await self._resolver.resolve(service.host)
        except ResolutionFailed as error:
            self._stats.upstream_resolve_failures += 1
            raise ConnectFailed("resolution", str(error)) from error
        failure = ConnectFailed("refused", "no try was made")
        for number in range(max(1 + service.retries, len(addresses))):
            if number:
                self._stats.upstream_retries += 1
            try:
                return await self._try(service, tls, addresses[number % len(addresses)])
            except TimeoutError:
                failure = ConnectFailed("timeout", f"no answer in {service.connect_timeout} s")
            except (OSError, ssl.SSLError) as error:
                failure = ConnectFailed("refused", str(error))
            self._stats.upstream_connect_failures += 1
        raise failure

    async def _try(self, service: Service, tls: TlsTo | None, address: Address) -> Upstream:
        async with asyncio.timeout(service.connect_timeout):
            _, upstream = await asyncio.get_running_loop().create_connection(
                lambda: Upstream(pool_key(service, tls), self._pool),
                address.host,
                service.port,
                family=address.family,
                flags=socket.AI_NUMERICHOST,
                ssl=None if tls is None else tls.identity.context,
                server_hostname=None if tls is None else tls.server_hostname,
            )
        self._stats.upstream_connects += 1
        return upstream
