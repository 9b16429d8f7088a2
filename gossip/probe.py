"""Probing: is each member still there? (SWIM section 3, with Lifeguard's LHA-Probe.)

Once per interval one member is pinged, in the order that ``schedule`` gives. Without an ack in time
some helpers are asked to ping it, and it is pinged over TCP; an answer by either before the window
ends saves it. A failed probe doesn't convict: it accuses. A node in bad health gives both waits
more time, as they were when the probe began: probes under way aren't drawn out further, and their
number is bounded (al8n/memberlist#165 had them pile up).

How a member answers is its *path*. One that only streams reach, while its packets are lost directly
and through helpers, is alive: it is on path ``tcp`` until a packet of its own comes through, and is
pinged both ways at once (serf and Consul flap here: hashicorp/serf#283, hashicorp/consul#1180).
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from gossip import limits
from gossip.counters import Counters
from gossip.events import PathChanged
from gossip.health import Health
from gossip.member import Member, Path, Status, view
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.changes import Heartbeat
from gossip.messages.membership import Ack, Nack, Ping, PingRequest, Verdict
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.schedule import Schedule
from gossip.streams import Streams

_SEQUENCES = 2**32
_RTT_SHARE = 1 / 8
"""Weight of a new round trip in the smoothed one, as in TCP (RFC 6298)."""
_KNOCK_ROUND_TRIPS = 4
"""Without an ack for so many smoothed round trips, it is overdue."""
_STREAM_ONLY_MAX = 2
"""Probes in a row that only a stream answered, after which the path is ``tcp``. One in which
helpers tried packets, too, counts as two."""


class Failure(NamedTuple):
    """A probe without any answer."""

    accusation: Verdict
    sent_at: float


class Findings(NamedTuple):
    """What the probes say."""

    failures: list[Failure]
    overdue: list[Member]
    """Members whose direct ack should have come by now: reason to look closer."""


@dataclass(slots=True, eq=False)
class _Probe:
    """A probe under way."""

    target: str
    generation: int
    incarnation: int
    sequence: int
    sent_at: float
    overdue_at: float | None
    """When the direct ack is overdue; None once that was told."""
    escalates_at: float | None
    """When helpers and TCP come in; None once they have."""
    ends_at: float
    nacked: dict[str, bool] = field(default_factory=dict)
    """Helper -> whether it said no."""
    stream_opened: bool = False
    stream_acked: bool = False

    def next_step(self) -> float:
        """When something is due."""
        at = self.ends_at
        if self.escalates_at is not None and self.escalates_at < at:
            at = self.escalates_at
        if self.overdue_at is not None and self.overdue_at < at:
            at = self.overdue_at
        return at


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
        self._schedule = Schedule(members, profile)
        self._probes: dict[int, _Probe] = {}
        self._relays: dict[int, _Relay] = {}
        self._running = False
        # A random start: somebody who can't see our pings can't guess the acks.
        self._sequence = rng.randrange(_SEQUENCES)

    def start(self, now: float) -> None:
        """Take part from now on."""
        self._running = True
        self._schedule.start(now)

    def stop(self) -> None:
        """This node leaves: whom it doesn't hear from is no longer its business."""
        self._running = False
        self._probes.clear()

    def clock_heard(self, milliseconds: int, now: float) -> None:
        """A member's ping carried its cluster clock."""
        self._schedule.heard(milliseconds, now)

    def grant_time(self, seconds: float) -> None:
        """This process stood still for so long: answers may lie unread."""
        for probe in self._probes.values():
            probe.ends_at += seconds
            if probe.escalates_at is not None:
                probe.escalates_at += seconds
            if probe.overdue_at is not None:
                probe.overdue_at += seconds

    def advance(self, now: float) -> Findings:
        """Do what is due."""
        self._advance_relays(now)
        findings = Findings([], [])
        for probe in list(self._probes.values()):
            if probe.ends_at <= now:
                self._end(probe, findings)
            elif probe.escalates_at is not None and probe.escalates_at <= now:
                self._escalate(probe, now)
            elif probe.overdue_at is not None and probe.overdue_at <= now:
                probe.overdue_at = None
                target = self._members.get(probe.target)
                if target is not None and not probe.stream_acked:
                    findings.overdue.append(target)
        target = self._schedule.take(self._health.score, now) if self._running else None
        if target is not None:
            self._begin(target, now)
        return findings

    def next_deadline(self) -> float | None:
        soonest = math.inf
        for relay in self._relays.values():
            at = relay.expires_at if relay.nack_at is None else relay.nack_at
            if at < soonest:
                soonest = at
        for probe in self._probes.values():
            at = probe.next_step()
            if at < soonest:
                soonest = at
        turn = self._schedule.next_turn(self._health.score) if self._running else None
        if turn is not None and turn.at < soonest:
            return turn.at
        return None if soonest == math.inf else soonest

    def acked(self, message: Ack, sender: Member, origin: Origin, now: float) -> None:
        """An ack: for our probe, directly or through a helper, or for one run for another."""
        relay = self._relays.get(message.sequence)
        if relay is not None and relay.target == sender.node_id:
            del self._relays[message.sequence]
            requester = self._members.get(relay.requester)
            if requester is not None:
                self._outbox.send(requester, [Ack(relay.requester_sequence)])
            return
        probe = self._probes.get(message.sequence)
        if probe is None:
            self._counters.add("acks_unexpected")
        elif sender.node_id == probe.target and origin.stream is not None:
            # A helper may still show that packets do get there, or one of its own may come.
            probe.stream_acked = True
        elif sender.node_id == probe.target:
            self._measure(probe, now)
            self._reached(probe, sender)
        elif sender.node_id in probe.nacked:
            self._counters.add("probes_saved_indirectly")
            self._succeed(probe)
        else:
            self._counters.add("acks_unexpected")

    def answered(self, member: Member) -> None:
        """A member has answered a packet of ours otherwise than by these probes."""
        for probe in [p for p in self._probes.values() if p.target == member.node_id]:
            self._reached(probe, member)

    def nacked(self, message: Nack, sender: Member) -> None:
        """A helper is there, the probed member not yet."""
        probe = self._probes.get(message.sequence)
        if probe is None or sender.node_id not in probe.nacked:
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
        sequence = self.take_sequence()
        remaining = self._profile.probe_window - self._profile.probe_timeout
        self._relays[sequence] = _Relay(
            sender.node_id,
            message.sequence,
            target.node_id,
            nack_at=now + remaining * self._profile.nack_share,
            expires_at=now + self._profile.probe_interval,
        )
        self._outbox.send(target, self.ping(sequence, now))

    def ping(self, sequence: int, now: float) -> list[Message]:
        """What a ping consists of."""
        return [Ping(sequence, self._schedule.clock.told(now)), self._heartbeat(now)]

    def take_sequence(self) -> int:
        """A number for one ping."""
        self._sequence = (self._sequence + 1) % _SEQUENCES
        return self._sequence

    def _begin(self, target: Member, now: float) -> None:
        if len(self._probes) >= limits.PROBES_MAX:
            self._counters.add("probes_skipped")
            return
        self._counters.add("probes")
        rtt = target.rtt or self._members.typical_rtt or 0.0
        probe = _Probe(
            target.node_id,
            target.generation,
            target.incarnation,
            self.take_sequence(),
            sent_at=now,
            overdue_at=now + max(self._profile.knock_after, _KNOCK_ROUND_TRIPS * rtt),
            escalates_at=now + self._health.stretch(self._profile.probe_timeout),
            ends_at=now + self._health.stretch(self._profile.probe_window),
        )
        self._probes[probe.sequence] = probe
        messages = self.ping(probe.sequence, now)
        # Lifeguard's buddy system: whoever probes a suspect tells it, so that it can refute.
        messages[1:1] = self._members.accusations(target)
        self._outbox.send(target, messages)
        if target.path == "tcp":
            self._open_stream(probe, target, now)

    def _escalate(self, probe: _Probe, now: float) -> None:
        if probe.stream_acked:
            # Packets have had their time, and none is expected.
            self._answered_by_stream(probe)
            return
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
        self._open_stream(probe, target, now)

    def _open_stream(self, probe: _Probe, target: Member, now: float) -> None:
        if not probe.stream_opened:
            probe.stream_opened = True
            frame = self._outbox.frame(target.wire, self.ping(probe.sequence, now))
            self._streams.open("probe", target.address, target.node_id, frame, now)

    def _reached(self, probe: _Probe, target: Member) -> None:
        """A packet of the member's own has come."""
        target.stream_only = 0
        self._set_path(target, "udp")
        self._succeed(probe)

    def _answered_by_stream(self, probe: _Probe) -> None:
        self._counters.add("probes_saved_by_stream")
        target = self._members.get(probe.target)
        if target is not None and target.generation == probe.generation:
            target.stream_only += 2 if probe.nacked else 1
            if target.stream_only >= _STREAM_ONLY_MAX:
                self._set_path(target, "tcp")
        self._succeed(probe)

    def _set_path(self, member: Member, path: Path) -> None:
        previous, member.path = member.path, path
        if previous != path and "tcp" in (previous, path):
            self._outbox.notify(PathChanged(view(member, is_self=False)))

    def _succeed(self, probe: _Probe) -> None:
        del self._probes[probe.sequence]
        self._health.add(-1)

    def _end(self, probe: _Probe, findings: Findings) -> None:
        if probe.stream_acked:
            self._answered_by_stream(probe)
            return
        del self._probes[probe.sequence]
        self._counters.add("probes_failed")
        target = self._members.get(probe.target)
        restarted = target is not None and target.generation != probe.generation
        if target is None or restarted or target.status > Status.SUSPECT:
            # Known to be gone by other means, which says nothing against us.
            return
        # Helpers that didn't even say no hint that the trouble is on our side.
        silent = sum(1 for said_no in probe.nacked.values() if not said_no)
        self._health.add(silent if probe.nacked else 1)
        if target.incarnation == probe.incarnation:
            accusation = self._members.verdict(target, Status.SUSPECT)
            findings.failures.append(Failure(accusation, probe.sent_at))

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


def _smoothed(last: float | None, sample: float) -> float:
    return sample if last is None else last + (sample - last) * _RTT_SHARE
