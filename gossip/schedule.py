"""Who probes whom, and when: an even order that all members compute alike.

SWIM has each member shuffle a ring of its own (SWIM section 4.3), so the probes of one member come
at random: with n members the time without any is about exponential, and a crash is found now after
0.1, now after 5 intervals. Here the members share a *cluster clock* and take turns by it:

    round     R = floor(clock / probe_interval)
    ring      all running members, this node included, sorted by wire id; N of them
    turn      rank i probes rank t = (i + shift(R, N)) mod N at clock time (R + t / N) * interval

The phase belongs to the target: it is probed once in every interval, at even distances, each time
by another. ``shift`` runs through all of 1 … N - 1 in every N - 1 rounds, so each probes each once
in that time and meets it anew within 2N - 3 rounds (SWIM's bound is 2N - 1).

The clock is nobody's. Pings carry it, and who hears a higher one goes by that from then on: no
election, no wall clock. A jump that somebody forges changes the order of probes and nothing else.
Members whose views or clocks differ for a while miss a probe of somebody, or send one too many.

In a cluster of several zones a round's ring is the prober's own zone, but in every
``cross_zone_every``-th round it is the whole cluster.
"""

import hashlib
import math
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from gossip import limits
from gossip.member import Member, Status
from gossip.members import Members
from gossip.profiles import Profile


def shift(index: int, size: int) -> int:
    """By how many ranks the ``index``-th round's targets lie ahead in a ring of ``size`` (at least
    2): each of 1 … size - 1 once in every size - 1 rounds, and never twice in a row where there
    is a choice."""
    cycle, position = divmod(index, size - 1)
    return 1 + position * _multiplier(cycle, size - 1) % (size - 1)


@lru_cache(maxsize=64)
def _multiplier(cycle: int, modulus: int) -> int:
    """A number coprime to the modulus, another for each cycle. From a hash, not a generator, so
    that every version of Python takes the same."""
    digest = hashlib.blake2b(cycle.to_bytes(8, "big"), digest_size=8, person=b"probe-order")
    multiplier = int.from_bytes(digest.digest(), "big") % modulus
    while math.gcd(multiplier, modulus) != 1:
        multiplier += 1
    return multiplier


class ClusterClock:
    """A time in seconds that all members come to share: the highest that any of them has."""

    def __init__(self) -> None:
        self.offset = 0.0
        """What this node's own clock lacks, seconds. Never lowered."""

    def read(self, now: float) -> float:
        return now + self.offset

    def told(self, now: float) -> int:
        """What pings carry: whole milliseconds, rounded down, or two clocks would drive each other
        up."""
        return min(int(self.read(now) * 1000), limits.CLOCK_MS_MAX)

    def heard(self, milliseconds: int, now: float) -> bool:
        """A member's clock. Answers whether it was ahead, and is followed now."""
        offset = milliseconds / 1000 - now
        if offset <= self.offset:
            return False
        self.offset = offset
        return True


class Turn(NamedTuple):
    """One probe to come."""

    round: int
    at: float
    """When, by this node's own clock."""
    target: Member


class _Ring(NamedTuple):
    """Members in the order of their ranks, and this node's place among them."""

    members: tuple[Member, ...]
    rank: int


class Schedule:
    """This node's own turns."""

    def __init__(self, members: Members, profile: Profile) -> None:
        self.clock = ClusterClock()
        self._members = members
        self._profile = profile
        self._others: tuple[Member, ...] | None = None
        """The tuple that the rings were made of: the table makes another when anything changed."""
        self._whole = _Ring((), 0)
        self._zone = _Ring((), 0)
        self._settled = 0.0
        """Clock time before which nothing is due any more."""
        self._last_round = -1
        self._turn: Turn | None = None
        self._turn_rest = 0

    def start(self, now: float) -> None:
        """Turns from now on are this node's."""
        self._settled = self.clock.read(now)

    def heard(self, milliseconds: int, now: float) -> None:
        """A member's ping carried its clock."""
        if self.clock.heard(milliseconds, now):
            oldest = self.clock.read(now) - self._profile.probe_interval
            self._settled = max(self._settled, oldest)
            self._turn = None

    def next_turn(self, rest: int) -> Turn | None:
        """The next one; None while there is nobody to probe. With ``rest`` that many rounds are
        left out after each turn: a node in bad health probes less."""
        others = self._members.reachable()
        if others is not self._others:
            self._arrange(others)
            self._turn = None
        if self._turn is None or self._turn_rest != rest:
            self._turn, self._turn_rest = self._find(rest), rest
        return self._turn

    def take(self, rest: int, now: float) -> Member | None:
        """The member to probe now, if it is this node's turn."""
        turn = self.next_turn(rest)
        if turn is None or turn.at > now:
            return None
        self._turn = None
        if turn.at <= now - self._profile.probe_interval:
            # A process that stood still doesn't make up for what it missed.
            self._settled = self.clock.read(now)
            return None
        self._settled = max(self._settled, self.clock.read(turn.at))
        self._last_round = turn.round
        return turn.target

    def _find(self, rest: int) -> Turn | None:
        if len(self._whole.members) < 2:
            return None
        interval = self._profile.probe_interval
        current = math.floor(self._settled / interval)
        number = max(current, self._last_round + 1 + rest)
        while True:
            ring, index = self._ring(number)
            size = len(ring.members)
            target = (ring.rank + shift(index, size)) % size
            at = (number + target / size) * interval
            if at >= self._settled:
                return Turn(number, at - self.clock.offset, ring.members[target])
            number += 1

    def _ring(self, number: int) -> tuple[_Ring, int]:
        """A round's ring, and which one it is of that ring's rounds: each kind of ring counts its
        own, or a stride that divides N - 1 would leave out some pairs for ever."""
        every = self._profile.cross_zone_every
        if len(self._zone.members) == len(self._whole.members):
            return self._whole, number
        if number % every == 0:
            return self._whole, number // every
        if len(self._zone.members) == 1:
            return self._whole, number
        return self._zone, number - number // every - 1

    def _arrange(self, others: tuple[Member, ...]) -> None:
        self._others = others
        me = self._members.me
        running = [member for member in others if member.status <= Status.SUSPECT]
        whole = sorted([me, *running], key=attrgetter("wire"))
        zone = [member for member in whole if member.metadata.zone == me.metadata.zone]
        self._whole = _Ring(tuple(whole), whole.index(me))
        self._zone = _Ring(tuple(zone), zone.index(me))
