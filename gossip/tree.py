"""Sending the same messages to all members at once, whoever begins: changesets, purges, questions.

In a cluster of up to ``limits.DIRECT_MEMBERS_MAX`` straight to everybody; in a larger one down a
tree of two levels (GOSSIP 4.4): some √n relays, each of which is told its children in the packet.
Who hears doesn't infer the tree from its own view, for views differ.

    origin --[Relay(children), messages]--> relay --[Relayed(origin), messages]--> child

Children are of their relay's zone, so that little crosses between zones: one packet for each relay,
of which a zone has as many as its size makes up. Who is a relay is drawn anew each time: load
spreads, and so does the damage when a relay is dead (its children miss one change, and hear of it
from others, ``announcements``). Nobody who may be gone is made a relay where that can be helped.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gossip import limits
from gossip.counters import Counters
from gossip.identity import WIRE_ID_BYTES
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.spreading import Relay
from gossip.outbox import Outbox
from gossip.wire import encode_part, encode_parts

_LIST_LEAST = 3
"""Fewer children aren't worth a relay; and what a relay puts in the list's place is as long."""


class Branch(NamedTuple):
    """A member that a packet goes to, and those to whom it passes it on."""

    relay: Member
    children: Sequence[Member]


class Zone(NamedTuple):
    """The running members of a zone."""

    able: Sequence[Member]
    """Those that are alive as far as anybody knows."""
    doubtful: Sequence[Member]
    """Suspects, and those that are leaving."""


class Tree:
    """Spreads what this node originates."""

    def __init__(
        self, members: Members, outbox: Outbox, rng: random.Random, counters: Counters
    ) -> None:
        self._members = members
        self._outbox = outbox
        self._rng = rng
        self._counters = counters
        self._zoned_of: tuple[Member, ...] = ()
        self._zones: list[Zone] = []

    def room(self) -> int:
        """Bytes that messages which are spread together may have: a packet's whole room while it
        goes straight, ``limits.SPREAD_BYTES_MAX`` (never less) where relays need their lists."""
        return limits.SPREAD_BYTES_MAX if self._branches() else limits.PACKET_BODY_BYTES_MAX

    def spread(self, messages: Sequence[Message], now: float) -> Sequence[Member]:
        """Send these to every running member, all in one packet; answers who they are.

        Encoded they may have ``room()`` bytes together, in any cluster
        ``limits.SPREAD_BYTES_MAX``. Where they have more, fewer children fit beside them and it
        takes more relays; they must fit a packet. Any of them may get lost on its way: whoever
        spreads something notices who misses it, and sends it again straight.

        Who receives them through a relay finds the origin named as their sender all the same, but
        for pushes, which count as the relay's (``relaying``).
        """
        return self.spread_parts(encode_parts(messages))

    def spread_parts(self, body: bytes) -> Sequence[Member]:
        """Spread messages that are encoded already."""
        receivers = self._members.reachable()
        room = limits.PACKET_BODY_BYTES_MAX - len(body) - limits.CHILDREN_LIST_BYTES
        children_max = min(room // WIRE_ID_BYTES, limits.CHILDREN_MAX)
        if not self._branches() or children_max < _LIST_LEAST:
            self._outbox.broadcast_parts(receivers, body)
            return receivers
        relays = 0
        for relay, children in branches(self._zoned(receivers), children_max, self._rng):
            if not children:
                self._outbox.broadcast_parts((relay,), body)
                continue
            relays += 1
            part = encode_part(Relay(tuple([child.wire for child in children])))
            self._outbox.broadcast_parts((relay,), part + body)
        self._counters.add("relays_told", relays)
        return receivers

    def _branches(self) -> bool:
        return self._members.running() > limits.DIRECT_MEMBERS_MAX

    def _zoned(self, receivers: tuple[Member, ...]) -> Sequence[Zone]:
        # The table makes a new tuple whenever a status or an address has changed.
        if receivers is not self._zoned_of:
            self._zoned_of, self._zones = receivers, by_zone(receivers)
        return self._zones


def by_zone(members: Iterable[Member]) -> list[Zone]:
    """Members by their zone; those without one are of one zone, too."""
    found: dict[str, tuple[list[Member], list[Member]]] = {}
    for member in members:
        able, doubtful = found.setdefault(member.metadata.zone, ([], []))
        (able if member.status is Status.ALIVE else doubtful).append(member)
    return [Zone(*zone) for zone in found.values()]


def branches(zones: Sequence[Zone], children_max: int, rng: random.Random) -> Iterator[Branch]:
    """A tree with each of these members in it once."""
    size = _branch_size(sum(len(zone.able) + len(zone.doubtful) for zone in zones))
    size = min(size, children_max + 1)
    # Of many small zones each would have a relay of its own, and the origin would be long at it.
    if len(zones) > 2 * size:
        zones = [_joined(zones)]
    for zone in zones:
        yield from _zone_branches(zone, size, children_max, rng)


def _zone_branches(
    zone: Zone, size: int, children_max: int, rng: random.Random
) -> Iterator[Branch]:
    able = permuted(zone.able, rng)
    count = math.ceil((len(able) + len(zone.doubtful)) / size)
    relays: list[Member] = []
    children: list[Member] = []
    for place, member in enumerate(able):
        if len(relays) == count:
            children += able[place:]
            break
        (children if member.path == "tcp" else relays).append(member)
    children += zone.doubtful
    # Where few can be relays they have full lists, and the rest hears straight.
    straight = max(0, len(children) - len(relays) * children_max)
    for member in children[len(children) - straight :]:
        yield Branch(member, ())
    del children[len(children) - straight :]
    begin = 0
    for place, relay in enumerate(relays, 1):
        end = place * len(children) // len(relays)
        yield Branch(relay, children[begin:end])
        begin = end


def _branch_size(members: int) -> int:
    """√n, rounded up: the origin then sends as many packets as each relay after it."""
    return math.isqrt(members - 1) + 1 if members else 1


def _joined(zones: Sequence[Zone]) -> Zone:
    return Zone(
        [member for zone in zones for member in zone.able],
        [member for zone in zones for member in zone.doubtful],
    )


def permuted(members: Sequence[Member], rng: random.Random) -> list[Member]:
    """These in another order, so that all of it is different from the last time.

    By a random start and stride: ``random.shuffle`` takes half a millisecond for a thousand, which
    is a third of the time that a change takes to reach them.
    """
    count = len(members)
    if count < 2:
        return list(members)
    stride = rng.randrange(1, count)
    while math.gcd(stride, count) != 1:
        stride = rng.randrange(1, count)
    start = rng.randrange(count)
    return [members[(start + place * stride) % count] for place in range(count)]
