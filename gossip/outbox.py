"""Everything that leaves the core: packets and frames in their envelopes, and other effects."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gossip import limits
from gossip.address import Address
from gossip.counters import Counters
from gossip.effects import CloseStream, Effect, Notify, OpenStream, SendDatagram, SendFrame
from gossip.events import Event
from gossip.identity import WireId
from gossip.member import Member
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.keys import Keys
from gossip.sessions import Sessions
from gossip.stream_sessions import StreamSessions
from gossip.updates import Updates
from gossip.wire import CLEAR, SPOKEN, Versions, encode_header, encode_part, encode_parts


class Origin(NamedTuple):
    """Where a packet or frame came from."""

    sender: WireId
    """Who, as the envelope says."""
    source: Address
    stream: int | None
    """The stream that a frame came on; None for a packet."""
    size: int
    """Bytes of the packet or frame."""


class Question(NamedTuple):
    """The first frame of a stream that isn't open yet."""

    receiver: WireId
    """NOBODY when it isn't known who is there."""
    body: bytes


class Outbox:
    """Builds envelopes and collects effects in order."""

    def __init__(
        self,
        members: Members,
        updates: Updates,
        counters: Counters,
        cluster: bytes,
        sessions: Sessions | None,
        versions: Versions = SPOKEN,
    ) -> None:
        self._versions = versions
        self._members = members
        self._updates = updates
        self._counters = counters
        self._cluster = cluster
        self._sessions = sessions
        self.streams = None if sessions is None else StreamSessions(sessions, counters)
        """How frames are sealed and opened; None in clear."""
        self._effects: list[Effect] = []

    def drain(self) -> list[Effect]:
        """All effects since the last call, oldest first."""
        effects, self._effects = self._effects, []
        return effects

    def add(self, effect: Effect) -> None:
        self._effects.append(effect)
        if type(effect) is CloseStream:
            self.stream_gone(effect.stream)

    def stream_gone(self, stream: int) -> None:
        """A stream has ended: nothing is owed on it any more."""
        if self.streams is not None:
            self.streams.forget(stream)

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

    def send_all(self, members: Sequence[Member], messages: Iterable[Message]) -> None:
        """Send messages to each of these members, in as few packets as hold them."""
        body = b""
        for part in map(encode_part, messages):
            if len(body) + len(part) > limits.PACKET_BODY_BYTES_MAX:
                self.broadcast_parts(members, body)
                body = b""
            body += part
        if body:
            self.broadcast_parts(members, body)

    def send_keyring(self, member: Member, message: Keys, key_id: bytes) -> None:
        """Send the keyring under a key that a member has; if that isn't in the ring, the first."""
        assert self._sessions is not None, "a keyring doesn't travel in clear"
        body = encode_part(message)
        data = self._sessions.packet(member.address, member.wire, body, key_id)
        self.transmit(SendDatagram(member.address, data))

    def settle(self) -> None:
        """Answer what other processes asked this one to prove, unless an answer has done it."""
        if self._sessions is not None:
            for packet in self._sessions.settle():
                self.transmit(packet)

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
        room, least = origin.size - limits.HEADER_BYTES, 1
        if self._sessions is not None:
            room -= self._sessions.overhead(origin.sender)
            least = limits.SEALED_BODY_BYTES_MIN
        body = b""
        for part in map(encode_part, messages):
            if len(body) + len(part) > room:
                break
            body += part
        if not body or room < least:
            self._counters.add("amplification_prevented")
            return
        self._send_packet(origin.source, origin.sender, body)

    def packet(self, member: Member, messages: Iterable[Message]) -> bytes:
        """A packet that goes another way than the others."""
        return self._packet(member.address, member.wire, encode_parts(messages))

    def frame(self, receiver: WireId, messages: Iterable[Message]) -> Question:
        """What to open a stream with; ``receiver`` is NOBODY when it isn't known who is there."""
        return Question(receiver, encode_parts(messages))

    def open_stream(self, stream: int, address: Address, question: Question) -> None:
        """Open a stream and send the first frame on it."""
        self._counters.add("frames_out")
        receiver, body = question
        if self.streams is None:
            data = self._in_clear(receiver, body)
        else:
            data = self.streams.opening(stream, receiver, body)
        self._effects.append(OpenStream(stream, address, data))

    def send_frame(self, stream: int, receiver: WireId, messages: Iterable[Message]) -> None:
        """Send a frame on an open stream."""
        body = encode_parts(messages)
        if self.streams is None:
            data = self._in_clear(receiver, body)
        else:
            data = self.streams.frame(stream, receiver, body)
        self.transmit(SendFrame(stream, data))

    def transmit(self, effect: Effect) -> None:
        """Send, or tell, what is whole already."""
        if type(effect) is SendDatagram:
            assert len(effect.data) <= limits.PACKET_BYTES_MAX
            self._counters.add("datagrams_out")
            self._counters.add("datagram_bytes_out", len(effect.data))
        elif type(effect) is SendFrame:
            self._counters.add("frames_out")
        self._effects.append(effect)

    def _send_packet(self, address: Address, receiver: WireId, body: bytes) -> None:
        self.transmit(SendDatagram(address, self._packet(address, receiver, body)))

    def _packet(self, address: Address, receiver: WireId, body: bytes) -> bytes:
        if self._sessions is None:
            return self._in_clear(receiver, body)
        return self._sessions.packet(address, receiver, body)

    def _in_clear(self, receiver: WireId, body: bytes) -> bytes:
        me = self._members.me.wire
        return encode_header(CLEAR, self._cluster, me, receiver, self._versions) + body
