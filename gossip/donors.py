"""Whom to ask for a state: a peer by lot, and of a few drawn the one furthest ahead."""

import random
from collections.abc import Sequence
from typing import Literal

from gossip import limits
from gossip.member import Member
from gossip.members import Members
from gossip.replica import GENESIS, Head, Replica, Version

Failure = Literal["busy", "silent", "broken", "oversized", "corrupt"]

_GRAVITY: tuple[Failure, ...] = ("busy", "silent", "broken", "oversized", "corrupt")

_CANDIDATES = 3
"""Of so many peers drawn by lot the one furthest ahead is asked: newcomers that start together
spread, and none picks a laggard."""


class Donors:
    """Whom an effort to come to some peer's state has tried, and whom it tries next."""

    def __init__(self, members: Members, replica: Replica, rng: random.Random) -> None:
        self._members = members
        self._replica = replica
        self._rng = rng
        self.failures: dict[str, Failure] = {}
        """Of those tried since it was begun, by node id."""
        self.renew = False
        """What is held here is damaged: a state of its own version will do."""
        self._above = GENESIS
        """Ours when a peer was asked; it had shown a higher one, or as high a one to renew us."""

    def begin(self, *, renew: bool) -> None:
        """A new effort: nobody has been tried."""
        self.failures.clear()
        self.renew = renew

    def is_of_use(self, version: Version) -> bool:
        """Whether a state is as high as that of a peer that would be asked."""
        return version > self._above or (version == self._above and self.renew)

    def successor(self, head: Head, left: Sequence[str]) -> Member | None:
        """Who may go on with the state at a head, which ``left`` have broken off: who stands there,
        or has stood there. None when nobody does, or enough have broken off."""
        self._above = self._replica.head()[0]
        if len(left) >= limits.RESUMES_MAX:
            return None
        able = [
            member
            for member in self._members.reachable()
            if member.serving is not None
            and member.serving >= head.version
            and member.node_id not in left
        ]
        there = [member for member in able if member.serving == head.version]
        return self._rng.choice(there or able) if able else None

    def next(self) -> Member | None:
        """Who is asked for its own state; None when nobody is left, or enough were tried."""
        self._above = self._replica.head()[0]
        if len(self.failures) >= limits.SNAPSHOT_PEERS_MAX:
            return None
        able = [
            (member.serving, member)
            for member in self._members.reachable()
            if member.serving is not None
            and self.is_of_use(member.serving)
            and member.node_id not in self.failures
        ]
        drawn = self._rng.sample(able, min(len(able), _CANDIDATES))
        return max(drawn, key=lambda candidate: candidate[0])[1] if drawn else None

    def gravest(self) -> Failure | None:
        """The worst of what went wrong; None when nobody could be tried."""
        return max(self.failures.values(), key=_GRAVITY.index, default=None)
