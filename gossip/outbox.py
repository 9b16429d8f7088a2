"""Everything that leaves the core: packets and frames in their envelopes, and other effects."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gossip import limits
from gossip.address import Address
from gossip.counters import Counters
from gossip.effects import Effect, Notify, SendDatagram, SendFrame
from gossip.events import Event
from gossip.identity import WireId
from gossip.member import Member
from gossip.members import Members
from gossip.messages import Message
from gossip.seal import Seal
from gossip.updates import Updates
from gossip.wire import CLEAR, SEALED, encode_header, encode_part, encode_parts


class Origin(NamedTuple):
    """Where a packet or frame came from."""

    sender: WireId
    """Who, as the envelope says."""
    source: Address
    stream: int | None
    """The stream that a frame came on; None for a packet."""
    size: int
    """Bytes of the packet or frame."""


class Outbox:
    """Builds envelopes and collects effects in order."""

    def __init__(
        self,
        members: Members,
        updates: Updates,
        counters: Counters,
        cluster: bytes,
        seal: Seal | None,
    ) -> None:
        self._members = members
        self._updates = updates
        self._counters = counters
        self._cluster = cluster
        self._seal = seal
        self._effects: list[Effect] = []

    def drain(self) -> list[Effect]:
        """All effects since the last call, oldest first."""
        effects, self._effects = self._effects, []
        return effects

    def add(self, effect: Effect) -> None:
        self._effects.append(effect)

    def notify(self, event: Event) -> None:
        self._effects.append(Notify(event))

    def send(self, member: Member, messages: Iterable[Message]) -> None:
        """Send a packet to a member; claims that wait to be spread fill it up."""
        body = encode_parts(messages)
        room = limits.PACKET_BODY_BYTES_MAX - len(body)
        riders = self._updates.take(room, self._members.running())
        self._send_packet(member.address, member.wire, b"".join([body, *riders]))

    def send_to(self, address: Address, receiver: WireId, messages: Iterable[Message]) -> None:
        """Send a packet to where somebody is said to be; nothing rides along."""
        self._send_packet(address, receiver, encode_parts(messages))

    def broadcast(self, members: Sequence[Member], messages: Sequence[Message]) -> None:
        """Send the same packet to each of these members, encoded once."""
        if members:
            self.broadcast_parts(members, encode_parts(messages))

    def broadcast_parts(self, members: Iterable[Member], body: bytes) -> None:
        """Send messages that are encoded already to each of these members."""
        for member in members:
            self._send_packet(member.address, member.wire, body)

    def answer(self, origin: Origin, messages: Sequence[Message]) -> None:
        """Answer where a question came from: on its stream, or with a packet to its source.

        Claims ride along if the source is the sender's own address. An address that has proved
        nothing gets at most as many bytes as it sent, or it could be a victim that somebody names
        as the source to have us flood it.
        """
        if origin.stream is not None:
            self.send_frame(origin.stream, origin.sender, messages)
            return
        member = self._members.sender(origin.sender)
        if member is not None and member.address == origin.source:
            self.send(member, messages)
            return
        room = origin.size - limits.HEADER_BYTES - (limits.SEAL_BYTES if self._seal else 0)
        body = b""
        for part in map(encode_part, messages):
            if len(body) + len(part) > room:
                break
            body += part
        if not body:
            self._counters.add("amplification_prevented")
            return
        self._send_packet(origin.source, origin.sender, body)

    def frame(self, receiver: WireId, messages: Iterable[Message]) -> bytes:
        """A frame for a stream; ``receiver`` is NOBODY when it isn't known who is there."""
        self._counters.add("frames_out")
        return self._envelope(receiver, b"".join(map(encode_part, messages)), frame=True)

    def send_frame(self, stream: int, receiver: WireId, messages: Iterable[Message]) -> None:
        """Send a frame on an open stream."""
        self.add(SendFrame(stream, self.frame(receiver, messages)))

    def _send_packet(self, address: Address, receiver: WireId, body: bytes) -> None:
        data = self._envelope(receiver, body, frame=False)
        assert len(data) <= limits.PACKET_BYTES_MAX
        self._counters.add("datagrams_out")
        self._counters.add("datagram_bytes_out", len(data))
        self._effects.append(SendDatagram(address, data))

    def _envelope(self, receiver: WireId, body: bytes, *, frame: bool) -> bytes:
        sender = self._members.me.wire
        if self._seal is None:
            return encode_header(CLEAR, self._cluster, sender, receiver) + body
        header = encode_header(SEALED, self._cluster, sender, receiver)
        return header + self._seal.seal(header, body, frame=frame)
