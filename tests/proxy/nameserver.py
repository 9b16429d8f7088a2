"""A name server on loopback that answers what a test says, over UDP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """``zone`` maps (name, type) to the texts of records; it may be changed at any time."""

    def __init__(self, zone: dict[tuple[str, str], list[str]], ttl: int = 60) -> None:
        self.zone = zone
        self.ttl = ttl
        self.port = 0
        self.broken = False
        """Answers SERVFAIL to everything."""
        self.asked: list[tuple[str, str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        records = self.zone.get((name, kind))
        if self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            made = dns.rrset.from_text(question.name, self.ttl, "IN", kind, *records)
            response.answer.append(made)
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), address)


@asynccontextmanager
async def name_server(
    zone: dict[tuple[str, str], list[str]], ttl: int = 60
) -> AsyncIterator[NameServer]:
    """A name server on a free port."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(zone, ttl), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
