"""The streams that are open, what for, and until when.

A stream carries one question and its answer (a pull may ask again, a snapshot asks slice by slice).
Whatever hangs is given up at its deadline, so that a peer that accepts and then says nothing costs
a bounded time and one entry. A watch stream that stands has none: that it stays is its purpose.
"""

import math
from dataclasses import dataclass
from typing import Literal

from gossip import limits
from gossip.address import Address
from gossip.counters import Counters
from gossip.effects import CloseStream
from gossip.outbox import Outbox, Question
from gossip.pinned import Taking
from gossip.profiles import Profile

Purpose = Literal[
    "push-pull", "probe", "pull", "snapshot", "reconcile", "watch", "contest", "accepted", "watched"
]
"""The last two are those that others opened: still open to any question, and kept for a watch."""


@dataclass(slots=True, eq=False)
class Stream:
    """One TCP connection."""

    id: int
    purpose: Purpose
    address: Address
    """Where it leads, or where it came from."""
    peer: str
    """Node id of the member at the other end; empty for an accepted one and for a seed."""
    deadline: float
    asked_again: bool = False
    """A push-pull whose answer showed that each side had buried the other was begun anew."""
    accepted_at: float = 0.0
    generation: int = 0
    """Of a watch stream: the life of the peer that it is with."""
    stood_since: float | None = None
    """Of a watch stream: since when it is known to be kept on the other side."""
    taking: Taking | None = None
    """What the other side takes of our state on an accepted one."""


class Streams:
    """All streams of this node. Opened ones have even ids, accepted ones odd."""

    def __init__(self, outbox: Outbox, profile: Profile, counters: Counters) -> None:
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._by_id: dict[int, Stream] = {}
        self._next_id = 0

    def get(self, stream: int) -> Stream | None:
        return self._by_id.get(stream)

    def asked_on(self, stream: int | None) -> Stream | None:
        """The stream that another node opened and asks on; None, counted, for anything else."""
        found = None if stream is None else self._by_id.get(stream)
        if found is None or found.purpose != "accepted":
            self._counters.add("messages_malformed")
            return None
        return found

    def leads_to(self, purpose: Purpose, address: Address) -> bool:
        """Whether one is open to this address for this purpose."""
        return any(s.purpose == purpose and s.address == address for s in self._by_id.values())

    def open(
        self, purpose: Purpose, address: Address, peer: str, frame: Question, now: float
    ) -> Stream | None:
        """Open one and send a frame on it. None, counted, when too many are open."""
        opened = sum(1 for stream in self._by_id if stream % 2 == 0)
        if opened >= limits.STREAMS_OPENED_MAX:
            self._counters.add("streams_refused")
            return None
        deadline = now + self._profile.stream_timeout
        stream = Stream(self._next_id, purpose, address, peer, deadline)
        self._next_id += 2
        self._by_id[stream.id] = stream
        self._counters.add("streams_opened")
        self._outbox.open_stream(stream.id, address, frame)
        return stream

    def accept(self, stream: int, source: Address, now: float) -> None:
        """Another node has opened one to us; ``stream`` is an odd number that isn't in use."""
        assert stream % 2 == 1, "accepted streams have odd ids"
        self._counters.add("streams_accepted")
        accepted = sum(1 for stream in self._by_id.values() if stream.purpose == "accepted")
        if accepted >= limits.STREAMS_ACCEPTED_MAX:
            self._counters.add("streams_refused")
            self._outbox.add(CloseStream(stream))
            return
        deadline = now + self._profile.stream_timeout
        self._by_id[stream] = Stream(stream, "accepted", source, "", deadline, accepted_at=now)

    def renew(self, stream: Stream, now: float) -> None:
        """A whole frame has come on an accepted one: wait for another, though not for ever. Where
        our state is taken, each answer sets the deadline instead."""
        if stream.taking is None:
            end = stream.accepted_at + limits.ACCEPTED_SECONDS_MAX
            stream.deadline = min(now + self._profile.stream_timeout, end)

    def stand(self, stream: Stream, now: float) -> None:
        """A watch stream is kept from now on, by both sides."""
        stream.stood_since = now
        stream.deadline = math.inf

    def watches(self) -> list[Stream]:
        """All watch streams, whoever opened them."""
        return [s for s in self._by_id.values() if s.purpose in ("watch", "watched")]

    def taking(self) -> int:
        """On how many another node takes something of our state."""
        return sum(1 for stream in self._by_id.values() if stream.taking is not None)

    def end_takings(self) -> None:
        """What others take of our state isn't to be had any more; who asks on is declined."""
        for stream in self._by_id.values():
            stream.taking = None

    def finish(self, stream: int) -> None:
        """Close one: its purpose is served, or it is given up."""
        if self._by_id.pop(stream, None) is not None:
            self._outbox.add(CloseStream(stream))

    def closed(self, stream: int) -> Stream | None:
        """The other side closed, or it could not be opened. Answers what it was for."""
        return self._by_id.pop(stream, None)

    def expire(self, now: float) -> list[Stream]:
        """Close those whose time is over, and answer them."""
        late = [stream for stream in self._by_id.values() if stream.deadline <= now]
        for stream in late:
            self.finish(stream.id)
        return late

    def next_deadline(self) -> float | None:
        soonest = math.inf
        for stream in self._by_id.values():
            if stream.deadline < soonest:
                soonest = stream.deadline
        return None if soonest == math.inf else soonest
