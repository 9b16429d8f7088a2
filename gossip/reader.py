"""Reading what arrives: envelope checks in the order of their cost, each refusal counted."""

from typing import NamedTuple

from gossip import limits
from gossip.counters import Counters
from gossip.identity import WireId, wire_id
from gossip.messages import Alive, Identified, Identify
from gossip.seal import Seal
from gossip.wire import CLEAR, SEALED, Header, Parts, Rejected, decode_header, decode_parts

_NOTHING = Parts((), 0, 0)


class Received(NamedTuple):
    """What arrived."""

    sender: WireId
    parts: Parts
    stray: bytes = b""
    """The end of the wire id that it was meant for, if that isn't this node's; then it isn't read
    any further: a ping for the previous tenant of this address must not keep it alive."""


class Reader:
    """Turns bytes into a sender and messages, or nothing."""

    def __init__(self, wire: WireId, cluster: bytes, seal: Seal | None, counters: Counters) -> None:
        self._wire = wire
        self._cluster = cluster
        self._seal = seal
        self._counters = counters

    def packet(self, data: bytes) -> Received | None:
        """Read a UDP packet; None, counted, when it is refused."""
        return self._read(data, limits.PACKET_BYTES_MAX, limits.PACKET_PARTS_MAX, frame=False)

    def frame(self, data: bytes, *, asked_for: bool) -> Received | None:
        """Read a stream frame. One that answers our question may be larger than a question."""
        size_max = limits.FRAME_BYTES_MAX if asked_for else limits.REQUEST_FRAME_BYTES_MAX
        return self._read(data, size_max, limits.FRAME_PARTS_MAX, frame=True)

    def _read(self, data: bytes, size_max: int, parts_max: int, *, frame: bool) -> Received | None:
        try:
            if len(data) > size_max:
                raise Rejected("dropped_oversized")
            header = decode_header(data)
            self._check(header)
            body = data[limits.HEADER_BYTES :]
            if self._seal is not None:
                clear = data[: limits.HEADER_BYTES]
                body = self._seal.open(clear, header.sender, body, frame=frame)
            if not header.is_for(self._wire):
                own = header.sender == self._wire
                self._counters.add("dropped_own" if own else "dropped_receiver")
                return Received(header.sender, _NOTHING, header.receiver)
            parts = decode_parts(body, parts_max)
            if header.sender == self._wire:
                parts = self._between_processes(parts)
        except Rejected as rejected:
            self._counters.add(rejected.reason)
            return None
        self._counters.add("messages_unknown", parts.unknown)
        self._counters.add("messages_malformed", parts.malformed)
        return Received(header.sender, parts)

    def _check(self, header: Header) -> None:
        if header.cluster != self._cluster:
            raise Rejected("dropped_cluster")
        if header.form == CLEAR and self._seal is not None:
            raise Rejected("dropped_clear")
        if header.form == SEALED and self._seal is None:
            raise Rejected("dropped_sealed")

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
