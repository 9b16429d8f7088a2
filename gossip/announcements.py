"""Telling a few others what has come here, so that whoever missed it hears of it in milliseconds.

The lazy half of the push (Plumtree's IHAVE; GOSSIP 4.4, point 2): ``announce_delay`` after
something new has come, some 40 bytes go to ``announce_fanout`` members drawn by lot. Each member
does that, so each hears from about as many, and asks whoever it heard of it first.

Nothing is told to those that are known to have it; so a cluster of two sends none, and one of three
a packet each way. In a burst, what comes is told when it has paused, or every ``_HOLD_SECONDS``:
until then every further push shows by itself what is missing. And there is a rate above which
telling waits in any case, so that a thousand changes a second don't cost six thousand packets.
"""

import math
import random

from gossip import limits
from gossip.counters import Counters
from gossip.early import EarlyBuffer
from gossip.members import Members
from gossip.messages.spreading import Holds
from gossip.outbox import Outbox
from gossip.profiles import Profile
from gossip.replica import Version
from gossip.wire import encode_part

_HOLD_SECONDS = 0.1
"""What comes without a pause is told after so long."""
_PER_SECOND = 50
_AT_ONCE = 8
"""News told at a time, and how often for long: a bucket that holds so much and fills so fast."""


class Announcements:
    """What this node has to tell, and when."""

    def __init__(
        self,
        members: Members,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._members = members
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._sources: dict[str, None] = {}
        """Who sent what is to be told."""
        self._hold_until = 0.0
        self._paid_until = 0.0
        """The bucket: what was told is paid for by this time."""
        self.deadline: float | None = None
        """When ``tell`` has something to do."""

    def learned(self, sender: str, now: float) -> None:
        """A member sent something that this node hadn't."""
        if self.deadline is None:
            self._hold_until = now + _HOLD_SECONDS
        self._sources[sender] = None
        due = min(now + self._profile.announce_delay, self._hold_until)
        self.deadline = max(due, self._paid_until - (_AT_ONCE - 1) / _PER_SECOND)

    def _fanout(self, peers: int) -> int:
        """Half as many where the origin tells everybody itself: no relay takes others with it when
        it is lost, and the same members are drawn again and again."""
        fanout = self._profile.announce_fanout
        return fanout if peers >= limits.DIRECT_MEMBERS_MAX else math.ceil(fanout / 2)

    def tell(self, serving: Version, early: EarlyBuffer, now: float) -> None:
        """Tell what is held, if it is time to."""
        if self.deadline is None or self.deadline > now:
            return
        self.deadline = None
        sources, self._sources = self._sources, {}
        peers = self._members.reachable()
        fanout = self._fanout(len(peers))
        drawn = self._rng.sample(peers, min(fanout + len(sources), len(peers)))
        ignorant = [
            peer
            for peer in drawn
            if peer.node_id not in sources and not (peer.serving and peer.serving >= serving)
        ][:fanout]
        if ignorant:
            self._paid_until = max(self._paid_until, now) + 1 / _PER_SECOND
            self._counters.add("news_told", len(ignorant))
            holds = Holds(serving, early.runs(limits.HELD_RUNS_MAX))
            self._outbox.broadcast_parts(ignorant, encode_part(holds))
