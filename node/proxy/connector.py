"""New connections to upstreams: one address at a time, as the balancer says."""

import asyncio
import socket
import ssl
from typing import NamedTuple

from node.proxy.balancing.entities import Upstream as Balanced
from node.proxy.balancing.peer import Peer
from node.proxy.entities import Service, split_port
from node.proxy.stats import Stats
from node.proxy.upstream import PLAIN, Pool, PoolKey, Upstream


class ConnectFailed(Exception):
    """No connection came about; the message says why."""

    def __init__(self, timed_out: bool, reason: str) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Tls(NamedTuple):
    """How a connection to an upstream is encrypted. Connections with equal ones are
    interchangeable."""

    context: ssl.SSLContext | None
    """None: it isn't."""
    server_name: str | None
    """Asked for (SNI), and the name that the certificate must have where it is verified."""


class Connector:
    """Opens connections; the pool gets them back when their first exchange is done."""

    def __init__(self, pool: Pool, stats: Stats) -> None:
        self._pool = pool
        self._stats = stats
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def key(self, peer: Peer, service: Service, balanced: Balanced | None, host: bytes) -> PoolKey:
        """Which connections can serve a try; ``host`` is the Host that it sends."""
        if not service.ssl:
            return (peer.host, peer.port, PLAIN)
        return (peer.host, peer.port, self._tls(service, balanced, host))

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
                    ssl=tls[0],
                    server_hostname=tls[1],
                )
        except TimeoutError:
            failure = ConnectFailed(True, f"no connection in {seconds} s")
        except (OSError, ssl.SSLError, ValueError) as error:  # ValueError: no name for a server
            failure = ConnectFailed(False, str(error))
        else:
            self._stats.upstream_connects += 1
            return upstream
        self._stats.upstream_connect_failures += 1
        raise failure

    def _tls(self, service: Service, balanced: Balanced | None, host: bytes) -> Tls:
        """Kong asks for the name that is in Host (nginx: proxy_ssl_name $upstream_host), and
        verifies an upstream's certificate only where ``tls_verify`` says so."""
        name = split_port(host)[0].decode("latin-1").strip("[]")
        context = self._contexts.get(service.tls_verify)
        if context is None:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            if not service.tls_verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[service.tls_verify] = context
        return Tls(context, name)
