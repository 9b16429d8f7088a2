"""A relay's part of a spread: what this node passes on, and how it reads what was passed on to it.

A packet that begins with Relay is passed on at once, before anything in it is looked at: the bytes
that follow, as they came, behind a few that say whose they are and how long they have been under
way. So it costs little, and kinds of messages that only newer software knows get through.

An announcement of what doesn't fit a packet waits here until this node has pulled it: its children
are told then, and pull it from here. At once they would all ask the origin.

Nobody can make this node send much, or anywhere: only a member is obeyed, only for the children
that one packet names (``limits.CHILDREN_MAX``), only to running members' own addresses, and what
was passed on is not passed on again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gossip.counters import Counters
from gossip.identity import WireId
from gossip.limits import (
    ANNOUNCEMENTS_KEPT_MAX,
    HOPS_MAX,
    PACKET_BODY_BYTES_MAX,
    RESIDENCE_MAX,
)
from gossip.member import RUNNING, Member
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.changes import Announce, Push
from gossip.messages.spreading import STRAIGHT, Relay, Relayed
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.replica import Version
from gossip.wire import Parts, encode_part


class _Kept(NamedTuple):
    """An announcement for children who are told when this node has what is announced."""

    version: Version
    children: Sequence[Member]
    body: bytes
    until: float


class Relaying:
    """Passes packets on, and takes those apart that were. ``serving()`` is the version served."""

    def __init__(
        self,
        members: Members,
        outbox: Outbox,
        profile: Profile,
        counters: Counters,
        serving: Callable[[], Version],
    ) -> None:
        self._members = members
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._serving = serving
        self._kept: list[_Kept] = []

    def release(self, now: float) -> None:
        """Something may have come: tell the children that wait for it."""
        if not self._kept:
            return
        serving = self._serving()
        kept, self._kept = self._kept, []
        for one in kept:
            if one.version <= serving:
                self._send(one.children, one.body)
            elif now < one.until:
                self._kept.append(one)
            else:
                self._counters.add("announcements_unrelayed")

    def unwrap(self, parts: Parts, origin: Origin, now: float) -> Iterator[tuple[Message, Origin]]:
        """What a packet holds, each message with whom it counts as being from. A packet to be
        passed on is."""
        messages = parts.messages
        first = messages[0] if messages else None
        if type(first) is Relay:
            messages = messages[1:]
            self._pass_on(first, messages, parts.relayed, origin, now)
        elif type(first) is Relayed:
            yield from self._passed_on(first, messages[1:], origin)
            return
        for message in messages:
            yield message, origin

    def _pass_on(
        self,
        relay: Relay,
        messages: Sequence[Message],
        body: bytes,
        origin: Origin,
        now: float,
    ) -> None:
        sender = self._members.sender(origin.sender)
        if sender is None or origin.stream is not None or not body:
            self._counters.add("packets_unrelayed")
            return
        children = [*self._children(relay, sender)]
        self._counters.add("relays_skipped", len(relay.children) - len(children))
        if not children:
            return
        body = encode_part(Relayed(sender.wire, self._half_round_trip(sender))) + body
        if len(body) > PACKET_BODY_BYTES_MAX:
            # An honest list is longer than what takes its place.
            self._counters.add("packets_unrelayed")
            return
        announced = [one.head.version for one in messages if isinstance(one, Announce)]
        if not announced or max(announced) <= self._serving():
            self._send(children, body)
            return
        if len(self._kept) >= ANNOUNCEMENTS_KEPT_MAX:
            self._counters.add("announcements_unrelayed")
            del self._kept[0]
        until = now + self._profile.stream_timeout
        self._kept.append(_Kept(max(announced), children, body, until))

    def _send(self, children: Sequence[Member], body: bytes) -> None:
        self._counters.add("packets_relayed", len(children))
        self._outbox.broadcast_parts(children, body)

    def _children(self, relay: Relay, sender: Member) -> Iterator[Member]:
        for wire in dict.fromkeys(relay.children):
            child = self._members.sender(wire)
            if (
                child is not None
                and child is not self._members.me
                and child is not sender
                and child.status in RUNNING
            ):
                yield child

    def _passed_on(
        self, relayed: Relayed, messages: tuple[Message, ...], origin: Origin
    ) -> Iterator[tuple[Message, Origin]]:
        """A changeset is the relay's now: of it the child asks what it lacks, or a thousand would
        ask its origin. All else is its origin's word, and is answered to where that is known to
        be."""
        relay = self._members.sender(origin.sender)
        if relay is None or origin.stream is not None:
            self._counters.add("dropped_stranger", len(messages))
            return
        named = self._named(relayed.origin, origin)
        for message in messages:
            if isinstance(message, STRAIGHT):
                self._counters.add("relayed_refused")
            elif isinstance(message, Push):
                yield _later(message, relayed.residence), origin
            elif isinstance(message, Announce):
                yield message, origin
            elif named is None:
                self._counters.add("relayed_unknown")
            else:
                yield message, named

    def _named(self, wire: WireId, origin: Origin) -> Origin | None:
        member = self._members.sender(wire)
        if member is None or member is self._members.me:
            return None
        return Origin(member.wire, member.address, None, origin.size)

    def _half_round_trip(self, sender: Member) -> float | None:
        rtt = self._members.typical_rtt if sender.rtt is None else sender.rtt
        return None if rtt is None else min(rtt / 2, RESIDENCE_MAX)


def _later(push: Push, residence: float | None) -> Push:
    """A push as the relay would have made it anew."""
    if push.residence is None:
        return push
    return push._replace(
        residence=min(push.residence + (residence or 0.0), RESIDENCE_MAX),
        hops=min(push.hops + 1, HOPS_MAX),
    )
