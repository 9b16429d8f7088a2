"""Probing: is each member still there? (SWIM section 3, with Lifeguard's LHA-Probe.)

Once per interval one member is pinged, taken in turn from a shuffled ring, so that every member is
probed within 2n - 1 intervals (SWIM section 4.3). Without an ack in time, some helpers are asked to
ping it, and it is pinged over TCP; an answer by either before the interval ends saves it. A failed
probe doesn't convict: it accuses.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gossip import limits
from gossip.counters import Counters
from gossip.health import Health
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages import Ack, Heartbeat, Message, Nack, Ping, PingRequest, Verdict
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.streams import Streams

_SEQUENCES = 2**32
_RTT_SHARE = 1 / 8
"""Weight of a new round trip in the smoothed one, as in TCP (RFC 6298)."""


@dataclass(slots=True, eq=False)
class _Probe:
    """The probe under way."""

    target: str
    generation: int
    incarnation: int
    sequence: int
    sent_at: float
    escalates_at: float | None
    """When helpers and TCP come in; None once they have."""
    ends_at: float
    nacked: dict[str, bool] = field(default_factory=dict)
    """Helper -> whether it said no."""


@dataclass(slots=True, eq=False)
class _Relay:
    """A probe run for another member."""

    requester: str
    requester_sequence: int
    target: str
    nack_at: float | None
    expires_at: float


class Prober:
    """Probes members and answers the probes of others."""

    def __init__(
        self,
        members: Members,
        streams: Streams,
        outbox: Outbox,
        health: Health,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
        heartbeat: Callable[[float], Heartbeat],
    ) -> None:
        self._members = members
        self._streams = streams
        self._outbox = outbox
        self._health = health
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._heartbeat = heartbeat
        self._ring: list[str] = []
        self._in_ring: set[str] = set()
        self._position = 0
        self._probe: _Probe | None = None
        self._relays: dict[int, _Relay] = {}
        self._next_probe_at: float | None = None
        # A random start: somebody who can't see our pings can't guess the acks.
        self._sequence = rng.randrange(_SEQUENCES)

    def start(self, now: float) -> None:
        """Begin at a random point of the interval, so that nodes started together don't march."""
        self._next_probe_at = now + self._rng.random() * self._profile.probe_interval

    def stop(self) -> None:
        """This node leaves: whom it doesn't hear from is no longer its business."""
        self._next_probe_at = self._probe = None

    def include(self, member: Member) -> None:
        """A member came (back): somewhere in what is left of this round, at random."""
        if member.node_id not in self._in_ring:
            self._in_ring.add(member.node_id)
            self._ring.insert(self._rng.randint(self._position, len(self._ring)), member.node_id)

    def grant_time(self, seconds: float) -> None:
        """This process stood still for so long: answers may lie unread."""
        probe = self._probe
        if probe is not None:
            probe.ends_at += seconds
            if probe.escalates_at is not None:
                probe.escalates_at += seconds
            self._next_probe_at = probe.ends_at

    def advance(self, now: float) -> Verdict | None:
        """Do what is due. Answers an accusation when a probe has failed."""
        self._advance_relays(now)
        accusation: Verdict | None = None
        probe = self._probe
        if probe is not None and probe.ends_at <= now:
            self._probe = None
            accusation = self._conclude(probe)
        elif probe is not None and probe.escalates_at is not None and probe.escalates_at <= now:
            self._escalate(probe, now)
        if self._next_probe_at is not None and self._next_probe_at <= now:
            self._begin(now)
        return accusation

    def next_deadline(self) -> float | None:
        deadlines = [
            relay.expires_at if relay.nack_at is None else relay.nack_at
            for relay in self._relays.values()
        ]
        if self._next_probe_at is not None:
            deadlines.append(self._next_probe_at)
        if self._probe is not None:
            deadlines.append(self._probe.escalates_at or self._probe.ends_at)
        return min(deadlines, default=None)

    def acked(self, message: Ack, sender: Member, origin: Origin, now: float) -> None:
        """An ack: for our probe, directly or through a helper, or for one run for another."""
        relay = self._relays.get(message.sequence)
        if relay is not None and relay.target == sender.node_id:
            del self._relays[message.sequence]
            requester = self._members.get(relay.requester)
            if requester is not None:
                self._outbox.send(requester, [Ack(relay.requester_sequence)])
            return
        probe = self._probe
        if probe is None or probe.sequence != message.sequence:
            self._counters.add("acks_unexpected")
        elif sender.node_id == probe.target:
            if origin.stream is not None:
                self._counters.add("probes_saved_by_stream")
            else:
                self._measure(probe, now)
            self._succeed()
        elif sender.node_id in probe.nacked:
            self._counters.add("probes_saved_indirectly")
            self._succeed()
        else:
            self._counters.add("acks_unexpected")

    def nacked(self, message: Nack, sender: Member) -> None:
        """A helper is there, the probed member not yet."""
        probe = self._probe
        expected = probe is not None and probe.sequence == message.sequence
        if probe is None or not expected or sender.node_id not in probe.nacked:
            self._counters.add("acks_unexpected")
            return
        probe.nacked[sender.node_id] = True

    def requested(self, message: PingRequest, sender: Member, now: float) -> None:
        """Ping a member for another. Only members, at the address held here: nobody can have us
        send packets to an address of their choice."""
        target = self._members.get(message.target)
        if target is None or target is self._members.me or len(self._relays) >= limits.RELAYS_MAX:
            self._counters.add("relays_refused")
            return
        self._counters.add("relays")
        sequence = self._take_sequence()
        timeout = self._profile.probe_timeout
        self._relays[sequence] = _Relay(
            sender.node_id,
            message.sequence,
            target.node_id,
            nack_at=now + timeout * self._profile.nack_share,
            expires_at=now + self._profile.probe_interval,
        )
        self._outbox.send(target, [Ping(sequence), self._heartbeat(now)])

    def _begin(self, now: float) -> None:
        interval = self._health.stretch(self._profile.probe_interval)
        self._next_probe_at = now + interval
        target = self._next_target()
        if target is None:
            return
        self._counters.add("probes")
        sequence = self._take_sequence()
        self._probe = _Probe(
            target.node_id,
            target.generation,
            target.incarnation,
            sequence,
            sent_at=now,
            escalates_at=now + self._profile.probe_timeout,
            ends_at=now + interval,
        )
        messages: list[Message] = [Ping(sequence)]
        if target.status is Status.SUSPECT:
            # Lifeguard's buddy system: whoever probes a suspect tells it, so that it can refute.
            messages.append(self._members.verdict(target))
        messages.append(self._heartbeat(now))
        self._outbox.send(target, messages)

    def _escalate(self, probe: _Probe, now: float) -> None:
        probe.escalates_at = None
        target = self._members.get(probe.target)
        if target is None:
            return
        helpers = [
            member
            for member in self._members.reachable()
            if member is not target and member.status is Status.ALIVE
        ]
        count = min(self._profile.indirect_checks, len(helpers))
        for helper in self._rng.sample(helpers, count):
            probe.nacked[helper.node_id] = False
            self._outbox.send(helper, [PingRequest(probe.sequence, probe.target)])
        frame = self._outbox.frame(target.wire, [Ping(probe.sequence), self._heartbeat(now)])
        self._streams.open("probe", target.address, target.node_id, frame, now)

    def _succeed(self) -> None:
        self._probe = None
        self._health.add(-1)

    def _conclude(self, probe: _Probe) -> Verdict | None:
        self._counters.add("probes_failed")
        # Helpers that didn't even say no hint that the trouble is on our side.
        silent = sum(1 for said_no in probe.nacked.values() if not said_no)
        self._health.add(silent if probe.nacked else 1)
        target = self._members.get(probe.target)
        held_as_then = target is not None and (target.generation, target.incarnation) == (
            probe.generation,
            probe.incarnation,
        )
        if target is None or not held_as_then or target.status > Status.SUSPECT:
            return None
        return self._members.verdict(target, Status.SUSPECT)

    def _next_target(self) -> Member | None:
        for _ in range(2):
            while self._position < len(self._ring):
                member = self._members.get(self._ring[self._position])
                self._position += 1
                if member is not None and member.status <= Status.SUSPECT:
                    return member
            self._ring = [member.node_id for member in self._members.reachable()]
            self._in_ring = set(self._ring)
            self._rng.shuffle(self._ring)
            self._position = 0
        return None

    def _measure(self, probe: _Probe, now: float) -> None:
        target = self._members.get(probe.target)
        if target is not None and probe.escalates_at is not None:
            sample = now - probe.sent_at
            target.rtt = _smoothed(target.rtt, sample)
            self._members.typical_rtt = _smoothed(self._members.typical_rtt, sample)

    def _advance_relays(self, now: float) -> None:
        for sequence, relay in list(self._relays.items()):
            if relay.nack_at is not None and relay.nack_at <= now:
                relay.nack_at = None
                requester = self._members.get(relay.requester)
                if requester is not None:
                    self._outbox.send(requester, [Nack(relay.requester_sequence)])
            if relay.expires_at <= now:
                del self._relays[sequence]

    def _take_sequence(self) -> int:
        self._sequence = (self._sequence + 1) % _SEQUENCES
        return self._sequence


def _smoothed(last: float | None, sample: float) -> float:
    return sample if last is None else last + (sample - last) * _RTT_SHARE
