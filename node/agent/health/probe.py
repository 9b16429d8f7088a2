"""One probe of one address: a connection, and with ``http`` and ``https`` the status of one answer.

After lua-resty-healthcheck: no answer in time is a timeout, whatever else fails before a status
line is a TCP failure, and what is no status line counts as an unhealthy answer. No more than that
line is read, and no redirect followed."""

import asyncio
import contextlib
import re
import socket
import ssl

from node.agent.health.client_certificates import Pair
from node.agent.health.limits import PROBE_CONTEXTS_MAX, STATUS_LINE_BYTES_MAX
from node.proxy import pem
from node.proxy.balancing.address import TargetAddress
from node.proxy.entities import host_and_port
from node.proxy.health.counters import Result, result_of_status
from node.proxy.health.settings import Active

TIMEOUT_DEFAULT = 1.0
"""In place of a timeout of 0, of which Kong says nothing."""
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d ([1-9]\d\d)(?: [^\r\n]*)?\r?\n?")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class Prober:
    """Probes, each with a connection of its own. TLS contexts are made once for each kind."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[bool, Pair | None], ssl.SSLContext] = {}

    async def probe(
        self,
        address: TargetAddress,
        name: str,
        host_header: str,
        active: Active,
        shown: Pair | None = None,
    ) -> Result | None:
        """What comes of it; None for a status that is neither healthy nor unhealthy.

        ``name`` is the target's host as it was given; ``shown`` is the certificate that an https
        target is shown.
        """
        try:
            async with asyncio.timeout(active.timeout or TIMEOUT_DEFAULT):
                status = await self._ask(address, name, host_header, active, shown)
        except TimeoutError:
            return Result.TIMEOUT
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, ValueError):
            return Result.TCP_FAILURE
        return Result.SUCCESS if status is None else result_of_status(active.limits, status)

    async def _ask(
        self,
        address: TargetAddress,
        name: str,
        host_header: str,
        active: Active,
        shown: Pair | None,
    ) -> int | None:
        """The status of the answer, 0 for what is none; None for a connection alone. Raises
        OSError and its like."""
        tls = active.kind == "https"
        reader, writer = await asyncio.open_connection(
            address.host,
            address.port,
            limit=STATUS_LINE_BYTES_MAX,
            family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
            flags=socket.AI_NUMERICHOST,
            ssl=self._context(active.verify, shown) if tls else None,
            server_hostname=(active.sni or name) if tls else None,
        )
        try:
            if active.kind == "tcp":
                return None
            host = host_header or host_and_port(name, address.port, tls).decode()
            writer.write(request(active, host))
            return await _read_status(reader)
        finally:
            # An orderly end of TLS would wait for the other side.
            with contextlib.suppress(Exception):
                writer.transport.abort()

    def _context(self, verify: bool, shown: Pair | None) -> ssl.SSLContext:
        """Raises ssl.SSLError or OSError for a certificate that is no use."""
        context = self._contexts.get((verify, shown))
        if context is None:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if shown is not None and shown.in_files:
                context.load_cert_chain(shown.cert, shown.key, password="")
            elif shown is not None:
                pem.load_pair(context, shown.cert, shown.key)
            if len(self._contexts) >= PROBE_CONTEXTS_MAX:
                del self._contexts[next(iter(self._contexts))]
            self._contexts[verify, shown] = context
        return context


def request(active: Active, host: str) -> bytes:
    """What is sent. Lines that could become several are left out."""
    given = [(name, value) for name, value in active.headers if name.lower() != "connection"]
    if not any(name.lower() == "host" for name, _ in given):
        given.append(("Host", host))
    lines = [f"GET {active.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given)]
    safe = [line for line in lines if not _UNSAFE.search(line)]
    return "\r\n".join([*safe, "Connection: close", "", ""]).encode()


async def _read_status(reader: asyncio.StreamReader) -> int:
    """Raises IncompleteReadError, OSError."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        return 0
    found = _STATUS_LINE.fullmatch(line)
    return int(found[1]) if found else 0
