"""What the core asks the world to do. Drained with ``Gossip.effects()`` after every input."""

from typing import NamedTuple

from gossip.address import Address
from gossip.events import Event


class SendDatagram(NamedTuple):
    """Send one UDP packet. May be lost, like any."""

    address: Address
    data: bytes


class OpenStream(NamedTuple):
    """Connect by TCP and send one frame. Failure is told by ``Gossip.stream_closed``."""

    stream: int
    """The core's name for it: an even number. Accepted streams are named by the transport with odd
    numbers, so the two never meet."""
    address: Address
    frame: bytes


class SendFrame(NamedTuple):
    """Send a frame on an open stream; nothing happens when it has closed meanwhile."""

    stream: int
    frame: bytes


class CloseStream(NamedTuple):
    """Close after sending what is pending. ``stream_closed`` isn't called for it any more."""

    stream: int


class Knock(NamedTuple):
    """Try whether anybody is at this address, by throw-away sockets: send the packet from a
    connected UDP socket, and connect by TCP and close, at once and side by side. Tell what came of
    it with ``Gossip.knocked`` within ``limits.KNOCK_SECONDS_MAX``; a packet that comes back is also
    given to ``Gossip.datagram_received``, before."""

    knock: int
    address: Address
    packet: bytes


class ResolveSeeds(NamedTuple):
    """Resolve the seeds' names (again) and call ``Gossip.seeds_resolved``."""


class PersistIncarnation(NamedTuple):
    """Store the incarnation, so that a process with the same generation starts no lower."""

    value: int


class PersistGeneration(NamedTuple):
    """Store the generation, and incarnation 1 with it: this process goes on as a later life."""

    value: int


class Notify(NamedTuple):
    """Tell the application."""

    event: Event


Effect = (
    SendDatagram
    | OpenStream
    | SendFrame
    | CloseStream
    | Knock
    | ResolveSeeds
    | PersistIncarnation
    | PersistGeneration
    | Notify
)
