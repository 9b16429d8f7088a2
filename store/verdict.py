"""Whether the authority still follows the history that was confirmed before, and what to do if not
(DESIGN 3): no clock, no task, no I/O.

An authority that lacks what this node knows to be confirmed has lost commits in a failover, or was
restored from a backup: then its epoch is raised, and everybody follows. Or there are two of it,
each taking writes: raising then would only begin a duel. What tells them apart is whether somebody
still reads the lost head at another server. So before a node raises it asks those who claim a
higher head to read their authority again, now.

======== ============================================== =====================================
phase    what has happened                              what follows
======== ============================================== =====================================
agreed   ``stood`` with proof                           ``Ask``, asking
\\        ``heard`` of another history by gossip         ``Look``
\\        ``stood`` after that, without proof            ``Ask``, asking
asking   ``faced`` by what another server says          ``Compare`` it with the own authority
\\        ``compared``: only one of the two has it       split, agreed
\\        all have answered, or 2 s are over: nobody     with proof ``Raise``, raising; else agreed
raising  ``raised``, ``lost``                           agreed
======== ============================================== =====================================

Servers are compared by what they hold, not by what they are called: one that two nodes know by
different addresses gives both the same answer. In a split the side that ranks lower refuses writes;
nobody raises, but where the side that goes on is to take a write that its authority can't take
otherwise. It is looked at again now and then, until nobody stands elsewhere any more.
"""

import random
from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

from store.history import Server, Standing
from store.version import GENESIS, Head, Version

ANSWER_SECONDS = 2.0
"""How long those who claim a higher head may take to read their authority again (DESIGN 3)."""

LOOK_SECONDS = 5.0
"""In a split: how long until it is looked at again, jittered by up to half."""

CROWD = 16
"""Members up to which each looks at that pace; n of them wait n / CROWD times as long."""

HEARD_SECONDS = 5.0
"""What gossip tells of another history is looked into at most so often."""

FACED_MAX = 64
"""Stances that wait to be compared. More are dropped: they come again at the next look."""

Phase = Literal["agreed", "asking", "raising"]


class Stance(NamedTuple):
    """How a node's authority stands to what that node knows to be confirmed, read just now."""

    server: Server
    head: Head
    """The authority's."""
    confirmed: Head
    """The node's."""
    holds: bool
    """Whether the one is part of the other."""


class Reading(NamedTuple):
    """What was read at the own authority about a head."""

    standing: Standing
    holds: bool
    """Whether its history has that head."""


def leaves_open(standing: Standing, head: Head) -> bool:
    """Whether only the log can tell if the authority has a head: a higher epoch has left the
    history of a lower one somewhere."""
    return not standing.proof and standing.head.version[:2] != head.version[:2]


def reading_of(standing: Standing, head: Head, *, logged: bool = False) -> Reading:
    """``logged``: the log has that head; where the reading ``leaves_open`` whether it is held."""
    if leaves_open(standing, head):
        return Reading(standing, logged)
    reaches = standing.head.version.revision >= head.version.revision
    return Reading(standing, not standing.proof and reaches)


def stance_of(reading: Reading, confirmed: Head) -> Stance:
    """What a node says of its authority after reading how it stands to what is confirmed."""
    return Stance(reading.standing.server, reading.standing.head, confirmed, reading.holds)


class Split(NamedTuple):
    """Two servers take writes under one authority id, with histories of their own."""

    mine: Stance
    theirs: Stance

    @property
    def refuses(self) -> bool:
        """Whether this is the side that takes no writes."""
        return _rank(self.mine) < _rank(self.theirs)


def _rank(side: Stance) -> tuple[int, int, Version, bytes, str]:
    """A history that was raised last goes on; then that of the server promoted last; then the
    longer one. The rest is for both sides to come to the same answer."""
    version = side.head.version
    return version.epoch, side.server.timeline, version, side.head.digest, side.server.address


class Ask(NamedTuple):
    """Tell members whose head is at least this how the own authority stands, and ask them for the
    same; say whom by ``asked``."""

    at_least: Version
    mine: Stance


class Look(NamedTuple):
    """Read how the own authority stands to what this node knows to be confirmed; ``stood``."""


class Compare(NamedTuple):
    """Read how the own authority stands to this head; ``compared``."""

    head: Head


class Raise(NamedTuple):
    """Raise the own authority's epoch; ``raised``."""

    confirmed: Head


Effect = Ask | Look | Compare | Raise


class HistoryVerdict:
    """One node's part in it. Every input answers what is to be done, in order."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.members = 1
        """How many run, this node included; kept up to date from outside."""
        self.phase: Phase = "agreed"
        self.split: Split | None = None
        """The one that is known of now."""
        self.deadline: float | None = None
        """When to call ``advance`` at the latest."""
        self._mine: Stance | None = None
        self._proof = False
        self._suspicious = False
        """Gossip has shown another history."""
        self._looking = False
        """A split is to be looked at again."""
        self._not_heard_before = float("-inf")
        self._pending: dict[str, None] = {}
        self._faced: deque[Stance] = deque()
        self._found: Split | None = None

    @property
    def refuses(self) -> bool:
        """Whether this node must not write."""
        return self.split is not None and self.split.refuses

    def stood(
        self, reading: Reading, confirmed: Head, now: float, *, to_write: bool = False
    ) -> list[Effect]:
        """The own authority was read. ``to_write``: because a write found proof."""
        self._mine = stance_of(reading, confirmed)
        self._proof = bool(reading.standing.proof)
        if self.phase != "agreed":
            return []
        if self.split is not None:
            if to_write and self._proof and not self.split._replace(mine=self._mine).refuses:
                return self._raise()
            return self._ask(GENESIS, now) if self._looking else []
        if not self._proof and not self._suspicious:
            return []
        above = self._mine.head.version
        first = above._replace(revision=above.revision + 1)
        return self._ask(min(first, confirmed.version), now)

    def noted(self, reading: Reading, confirmed: Head) -> None:
        """The own authority was read because a member asked. That one sees to what it proves: a
        thousand nodes that asked each other would fall upon the authority."""
        self._mine = stance_of(reading, confirmed)
        if self.phase == "asking":
            self._proof = bool(reading.standing.proof)

    def heard(self, now: float) -> list[Effect]:
        """A member follows another history at this node's version or above it."""
        if self.phase != "agreed" or self.split is not None or now < self._not_heard_before:
            return []
        self._not_heard_before = now + HEARD_SECONDS
        self._suspicious = True
        return [Look()]

    def asked(self, members: Iterable[str], now: float) -> list[Effect]:
        """These were asked."""
        if self.phase != "asking":
            return []
        self._pending = dict.fromkeys(members)
        return self._decide(now)

    def answered(self, member: str, theirs: Stance | None, now: float) -> list[Effect]:
        """One of them has; None when its authority can't be reached, or there is none."""
        effects = [] if theirs is None else self.faced(theirs)
        if self.phase == "asking" and member in self._pending:
            del self._pending[member]
            effects += self._decide(now)
        return effects

    def faced(self, theirs: Stance) -> list[Effect]:
        """A member has told how its authority stands, asked (after ``stood``) or not (after
        ``noted``)."""
        mine = self._mine
        if mine is None or theirs.server == mine.server or theirs in self._faced:
            return []
        if len(self._faced) >= FACED_MAX:
            return []
        self._faced.append(theirs)
        return [Compare(theirs.confirmed)] if len(self._faced) == 1 else []

    def compared(self, reading: Reading, now: float) -> list[Effect]:
        """The own authority was read for what the first of those that wait has confirmed."""
        if not self._faced or self._mine is None:
            return []
        theirs = self._faced.popleft()
        standing = reading.standing
        mine = self._mine._replace(server=standing.server, head=standing.head)
        apart = theirs.server != mine.server and theirs.holds != reading.holds
        if apart and not self._is_outdated(theirs):
            self._faced.clear()
            self._found = Split(mine, theirs)
            if self.phase == "agreed":
                self._part(now)
        effects: list[Effect] = [Compare(self._faced[0].confirmed)] if self._faced else []
        return effects + self._decide(now)

    def _is_outdated(self, theirs: Stance) -> bool:
        """Whether more is known of that server: an answer that comes late mustn't undo what an
        operator has decided meanwhile."""
        known = self._found or self.split
        if known is None or known.theirs.server != theirs.server:
            return False
        return theirs.head.version < known.theirs.head.version

    def raised(self) -> list[Effect]:
        """The epoch was raised, here or by another node before."""
        if self.phase == "raising":
            self.phase = "agreed"
        self._proof = self._suspicious = False
        return []

    def lost(self, now: float) -> list[Effect]:
        """The own authority can't be read or written. Whatever was under way begins anew when it
        can; what is known of a split stays."""
        self.phase = "agreed"
        self._proof = False
        self._mine = self._found = None
        self._faced.clear()
        self._pending.clear()
        self.deadline = None if self.split is None else self._next_look(now)
        return []

    def advance(self, now: float) -> list[Effect]:
        """Do what is due."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.phase == "asking":
            self._pending.clear()
            self._faced.clear()
            return self._decide(now)
        self.deadline = None
        return [] if self.split is None else self.renew(now)

    def renew(self, now: float) -> list[Effect]:
        """Look at a split again, now."""
        if self.split is None or self.phase != "agreed":
            return []
        self._looking = True
        self.deadline = self._next_look(now)
        return [Look()]

    def _ask(self, at_least: Version, now: float) -> list[Effect]:
        assert self._mine is not None
        self.phase = "asking"
        self._suspicious = self._looking = False
        self._found = None
        self._pending.clear()
        self.deadline = now + ANSWER_SECONDS
        return [Ask(at_least, self._mine)]

    def _decide(self, now: float) -> list[Effect]:
        if self.phase != "asking":
            return []
        if self._found is None and (self._pending or self._faced):
            return []
        self.phase = "agreed"
        self._pending.clear()
        if self._found is not None:
            self._part(now)
            return []
        self.split = self.deadline = None
        return self._raise() if self._proof else []

    def _part(self, now: float) -> None:
        self.split, self._found = self._found, None
        self.deadline = self._next_look(now)

    def _raise(self) -> list[Effect]:
        assert self._mine is not None
        self.phase = "raising"
        return [Raise(self._mine.confirmed)]

    def _next_look(self, now: float) -> float:
        pause = LOOK_SECONDS * max(1.0, self.members / CROWD)
        return now + pause * (1 + self._rng.random() / 2)
