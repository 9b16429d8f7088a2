"""Listening sockets: taken once by the agent, kept for a worker slot's life, never closed under it.

A worker that closed its own listener would reset the connections that the kernel had queued on it,
so the agent holds one socket per worker slot and listener and hands it to each replacement.
"""

import contextlib
import ctypes
import errno
import socket
import struct
import sys
import time
from collections.abc import Sequence

from node.agent.limits import BIND_RETRY_PAUSE_SECONDS, BIND_RETRY_SECONDS
from node.config.listen import ListenAddress


class PortTaken(Exception):
    """An address can't be bound; the message names it and the reason."""


def bind(listen: ListenAddress, *, reuse_port: bool) -> socket.socket:
    """One bound socket, not yet listening. Raises OSError, also for a name without an address."""
    family, _, _, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, listen.ipv6only)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def bind_patiently(
    listen: ListenAddress, *, key: str, patience: float = BIND_RETRY_SECONDS
) -> socket.socket:
    """Bind alone on the port, waiting for one that is just being released. Raises PortTaken.

    Without SO_REUSEPORT, so that another process on the port is found rather than joined.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return bind(listen, reuse_port=False)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                reason = (
                    "another process listens there"
                    if error.errno == errno.EADDRINUSE
                    else error.strerror
                )
                raise PortTaken(f"{key}: {listen} can't be bound: {reason}") from error
        time.sleep(BIND_RETRY_PAUSE_SECONDS)


_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("HBBI")
_DROP_NEW_CONNECTIONS = b"".join(
    _INSTRUCTION.pack(*instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte with the flags of the TCP header
        (0x54, 0, 0, 0x12),  # keep SYN and ACK
        (0x15, 0, 1, 0x02),  # SYN alone begins a connection:
        (0x06, 0, 0, 0),  # drop it
        (0x06, 0, 0, 0xFFFFFFFF),  # take everything else
    )
)
"""Classic BPF, as in socket(7) and the kernel's Documentation/networking/filter.rst."""


class SlotSockets:
    """The proxy's sockets: one per worker slot and listener, kept while both are wanted."""

    def __init__(self) -> None:
        self._by_listener: dict[tuple[str, int], list[socket.socket]] = {}

    def bind(self, listeners: Sequence[ListenAddress], slots: int) -> list[list[socket.socket]]:
        """Sockets by slot, then by listener: those that are there, and new ones for the rest.
        Without a listener there is nothing for a worker to do, and no slot.

        Raises PortTaken, and then nothing has changed.
        """
        bound = dict(self._by_listener)
        fresh: list[socket.socket] = []
        try:
            for listen in listeners:
                held = bound.get(listen.address, [])
                more = _bind_more(listen, held, slots)
                fresh += more
                bound[listen.address] = [*held, *more]
        except PortTaken:
            for new in fresh:
                new.close()
            raise
        self._by_listener = bound
        if not listeners:
            return []
        return [[bound[listen.address][slot] for listen in listeners] for slot in range(slots)]

    def take_no_more(self) -> None:
        """Let no new connection begin on any of the sockets, where the kernel can (Linux).

        Those that have begun complete, and can be accepted. Without this a connection could
        complete between a worker's last accept and its close, and be reset with a request already
        sent on it, which a balancer must not repeat elsewhere unless it is idempotent. A connection
        attempt is dropped instead, and refused when it comes again: that, any balancer repeats.
        """
        if not sys.platform.startswith("linux"):
            return
        program = ctypes.create_string_buffer(_DROP_NEW_CONNECTIONS)
        length = len(_DROP_NEW_CONNECTIONS) // _INSTRUCTION.size
        argument = struct.pack("HP", length, ctypes.addressof(program))
        for sockets in self._by_listener.values():
            for bound in sockets:
                with contextlib.suppress(OSError):  # a kernel that was built without filters
                    bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, argument)

    def keep_only(self, listeners: Sequence[ListenAddress], slots: int) -> None:
        """Close the others: what nobody accepts from must not queue connections."""
        wanted = {tuple(listen.address) for listen in listeners}
        for address, sockets in list(self._by_listener.items()):
            kept = slots if address in wanted else 0
            for surplus in sockets[kept:]:
                surplus.close()
            self._by_listener[address] = sockets[:kept]
            if not kept:
                del self._by_listener[address]


def _bind_more(
    listen: ListenAddress, held: Sequence[socket.socket], slots: int
) -> list[socket.socket]:
    if not held:
        return bind_slots(listen, slots, key="proxy_listen")
    fixed = listen.with_port(held[0].getsockname()[1])
    return [bind(fixed, reuse_port=True) for _ in range(slots - len(held))]


def bind_slots(listen: ListenAddress, slots: int, *, key: str) -> list[socket.socket]:
    """One socket per worker slot, all on one port by SO_REUSEPORT. Raises PortTaken.

    Port 0 takes any free port, the same for all slots.
    """
    alone = bind_patiently(listen, key=key)
    port: int = alone.getsockname()[1]
    alone.close()
    fixed = listen.with_port(port)
    try:
        return [bind(fixed, reuse_port=True) for _ in range(slots)]
    except OSError as error:
        raise PortTaken(f"{key}: {fixed} can't be bound: {error.strerror}") from error
