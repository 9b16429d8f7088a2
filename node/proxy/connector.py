"""New connections to upstreams: one address at a time, as the balancer says."""

import asyncio
import socket
import ssl

from node.proxy.stats import Stats
from node.proxy.upstream import Pool, PoolKey, Upstream


class ConnectFailed(Exception):
    """No connection came about; the message says why."""

    def __init__(self, timed_out: bool, reason: str) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Connector:
    """Opens connections; the pool gets them back when their first exchange is done."""

    def __init__(self, pool: Pool, stats: Stats) -> None:
        self._pool = pool
        self._stats = stats

    async def connect(self, key: PoolKey, seconds: float) -> Upstream:
        """Connect, within a time. Raises ConnectFailed."""
        host, port, tls = key
        try:
            async with asyncio.timeout(seconds):
                _, upstream = await asyncio.get_running_loop().create_connection(
                    lambda: Upstream(key, self._pool),
                    host,
                    port,
                    family=socket.AF_INET6 if ":" in host else socket.AF_INET,
                    flags=socket.AI_NUMERICHOST,
                    ssl=None if tls is None else tls.identity.context,
                    server_hostname=None if tls is None else tls.server_hostname,
                )
        except TimeoutError:
            failure = ConnectFailed(True, f"no connection in {seconds} s")
        except (OSError, ssl.SSLError) as error:
            failure = ConnectFailed(False, str(error))
        else:
            self._stats.upstream_connects += 1
            return upstream
        self._stats.upstream_connect_failures += 1
        raise failure
