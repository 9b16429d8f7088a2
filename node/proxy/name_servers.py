"""Questions to name servers.

Imported with the first name that isn't in the hosts file: its library is a tenth of what a worker
imports otherwise.
"""

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from node.proxy import limits
from node.proxy.resolver import NoSuchName

_NONE = (
    dns.resolver.NXDOMAIN,
    dns.resolver.NoAnswer,
    dns.resolver.YXDOMAIN,
)


class NameServers:
    """``servers`` are addresses with ports; without any, those of /etc/resolv.conf are asked."""

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self._dns: dns.asyncresolver.Resolver | None = None
        try:
            self._dns = dns.asyncresolver.Resolver()
        except dns.exception.DNSException:  # no resolv.conf, or none that names a server
            if servers:
                self._dns = dns.asyncresolver.Resolver(configure=False)
        if servers and self._dns is not None:
            self._dns.nameservers = [
                dns.nameserver.Do53Nameserver(host, port) for host, port in servers
            ]

    async def ask(self, name: str, kind: str) -> dns.resolver.Answer | None:
        """One question; None when there is no such record. Raises OSError, and NoSuchName when
        there is nobody to ask."""
        if self._dns is None:
            raise NoSuchName("there is no name server")
        try:
            return await self._dns.resolve(
                name, kind, search=True, lifetime=limits.RESOLVER_QUESTION_SECONDS
            )
        except _NONE:
            return None
        except dns.exception.DNSException as error:
            raise OSError(f"{kind}: {error}") from error
