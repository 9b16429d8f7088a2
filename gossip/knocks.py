"""Knocking: whether anybody is at an address, by sockets that are thrown away.

Why not the node's own sockets, docs/decisions/0003-refusals.md says: an unconnected UDP socket is
told nothing of refusals.
"""

import asyncio
import socket

import asyncio_dgram
from asyncio_dgram.aio import DatagramClient

from gossip import limits
from gossip.address import Address
from gossip.refusal import TcpOutcome, UdpOutcome

_LOOK_SECONDS = (0.001, 0.004, 0.015, 0.05, 0.13, 0.2)
"""When asyncio-dgram is asked again whether an error has come: it wakes nobody for one."""
_DEADLINE = 0.9 * limits.KNOCK_SECONDS_MAX
assert sum(_LOOK_SECONDS) < _DEADLINE


async def knock(address: Address, packet: bytes) -> tuple[UdpOutcome, TcpOutcome, bytes | None]:
    """Try both ways side by side; answers what came of them, and the packet that came back."""
    (udp, answer), tcp = await asyncio.gather(_by_udp(address, packet), _by_tcp(address))
    return udp, tcp, answer


async def _by_udp(address: Address, packet: bytes) -> tuple[UdpOutcome, bytes | None]:
    try:
        client = await asyncio_dgram.connect(address)
    except OSError:
        return "silent", None
    assert isinstance(client, DatagramClient)
    try:
        await client.send(packet)
        for seconds in _LOOK_SECONDS:
            try:
                async with asyncio.timeout(seconds):
                    answer, _ = await client.recv()
                assert isinstance(answer, bytes)
                return "answered", answer
            except TimeoutError:
                continue
    except ConnectionRefusedError:
        return "refused", None
    except (OSError, asyncio_dgram.TransportClosed):
        pass
    finally:
        client.close()
    return "silent", None


async def _by_tcp(address: Address) -> TcpOutcome:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_DEADLINE):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except ConnectionRefusedError:
            return "refused"
        except (TimeoutError, OSError):
            return "silent"
    return "open"
