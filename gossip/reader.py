"""Reading what arrives: envelope checks in the order of their cost, each refusal counted."""

from typing import NamedTuple

from gossip import limits
from gossip.address import Address
from gossip.counters import Counters
from gossip.identity import WireId, wire_id
from gossip.messages.membership import Alive, Identified, Identify
from gossip.outbox import Outbox
from gossip.sessions import Opened, Sessions
from gossip.wire import (
    CLEAR,
    SPOKEN,
    Header,
    Parts,
    Rejected,
    Versions,
    decode_header,
    decode_parts,
)


class Reading(NamedTuple):
    """What a packet or frame was."""

    sender: WireId
    parts: Parts | None
    """None for a step of the conversation by which processes are admitted."""
    stray: bytes = b""
    """The end of the wire id that it was meant for, if that isn't this node's. Then it isn't read:
    a ping for the previous tenant of this address must not keep it alive."""


class Reader:
    """Turns bytes into a sender and messages, or nothing."""

    def __init__(
        self,
        wire: WireId,
        cluster: bytes,
        sessions: Sessions | None,
        outbox: Outbox,
        counters: Counters,
        versions: Versions = SPOKEN,
    ) -> None:
        self._versions = versions
        self._wire = wire
        self._cluster = cluster
        self._sessions = sessions
        self._outbox = outbox
        self._counters = counters

    def packet(self, data: bytes, source: Address, now: float) -> Reading | None:
        """Read a UDP packet; None, counted, when it is refused."""
        try:
            header = self._header(data, limits.PACKET_BYTES_MAX)
            if not header.is_for(self._wire):
                return self._stray(header)
            if self._sessions is None:
                opened = Opened(data[limits.HEADER_BYTES :])
            else:
                opened = self._sessions.open(header, data, source, now)
            return self._reading(header, opened, limits.PACKET_PARTS_MAX)
        except Rejected as rejected:
            self._counters.add(rejected.reason)
            return None

    def frame(self, data: bytes, stream: int, now: float, *, accepted: bool) -> Reading | None:
        """Read a frame on a stream. One that answers our question may be larger than a question."""
        size_max = limits.REQUEST_FRAME_BYTES_MAX if accepted else limits.FRAME_BYTES_MAX
        streams = self._outbox.streams
        try:
            header = self._header(data, size_max)
            if not header.is_for(self._wire):
                return self._stray(header)
            if streams is None:
                opened = Opened(data[limits.HEADER_BYTES :])
            else:
                opened = streams.open(header, data, stream, now, accepted=accepted)
            return self._reading(header, opened, limits.FRAME_PARTS_MAX)
        except Rejected as rejected:
            self._counters.add(rejected.reason)
            return None

    def _reading(self, header: Header, opened: Opened, parts_max: int) -> Reading:
        for effect in opened.effects:
            self._outbox.transmit(effect)
        if opened.refused:
            raise Rejected(opened.refused)
        if opened.body is None:
            return Reading(header.sender, None)
        parts = decode_parts(opened.body, parts_max)
        self._counters.add("messages_unknown", parts.unknown)
        self._counters.add("messages_malformed", parts.malformed)
        if header.sender == self._wire:
            parts = self._between_processes(parts)
        return Reading(header.sender, parts)

    def _stray(self, header: Header) -> Reading:
        own = header.sender == self._wire
        self._counters.add("dropped_own" if own else "dropped_receiver")
        return Reading(header.sender, None, header.receiver)

    def _between_processes(self, parts: Parts) -> Parts:
        """What another process of this node's id may say, or this one that has sent to itself: who
        it is and where."""
        allowed = tuple(
            message
            for message in parts.messages
            if isinstance(message, Identify | Identified)
            or (isinstance(message, Alive) and wire_id(message.node_id) == self._wire)
        )
        if len(allowed) < len(parts.messages):
            self._counters.add("dropped_own")
        return Parts(allowed, parts.unknown, parts.malformed)

    def _header(self, data: bytes, size_max: int) -> Header:
        if len(data) > size_max:
            raise Rejected("dropped_oversized")
        header = decode_header(data, self._versions)
        if header.cluster != self._cluster:
            raise Rejected("dropped_cluster")
        if header.form == CLEAR and self._sessions is not None:
            raise Rejected("dropped_clear")
        if header.form != CLEAR and self._sessions is None:
            raise Rejected("dropped_sealed")
        return header
