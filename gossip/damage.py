"""Who is damaged, when two hold another state at the same head (DESIGN 5, anti-entropy).

    idle --(a member's state differs)--> auditing --(ours isn't what it should be)--> damaged
                                         auditing --(it is)--> asking up to 8 members
    asking --(most of them hold another)--> outvoted      asking --(most hold the same)--> upheld
    asking --(as many as not)--> undecided

The authority's word is above every vote: who has compared its state with the authority's tells at
which version, and outvotes whoever held something else there.

First each looks at itself: whose objects don't give its own hash is the one, and nobody else need
be asked. A state that is what its own hash says may still be wrong, when a change was applied
wrongly; then others tell. What follows is the application's: it knows whether the authority can be
asked, who is right in any case, and else has the replica renewed by a peer. Who is upheld does
nothing: the others find it for themselves.
"""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal

from gossip import limits
from gossip.counters import Counters
from gossip.events import StateDiffers
from gossip.member import Member
from gossip.members import Members
from gossip.messages.repair import Confirmed
from gossip.outbox import Outbox
from gossip.profiles import Profile
from gossip.replica import Replica, Version


@dataclass(slots=True, eq=False)
class _Case:
    """What is being looked into."""

    version: Version
    member: str
    """Who holds another state there."""
    audit: Generator[None, None, bool] | None
    """Until our own state has been looked through."""
    asked: list[str] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)
    """Who holds the same as we."""
    unlike: list[str] = field(default_factory=list)
    contradicted: bool = False
    """Whether what one of the asked has compared with the authority isn't what we held."""


class Damage:
    """One case at a time; ``ask(member, version, now)`` asks a member what it holds."""

    def __init__(
        self,
        replica: Replica,
        members: Members,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
        ask: Callable[[Member, Version, float], None],
    ) -> None:
        self._replica = replica
        self._members = members
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._ask = ask
        self._case: _Case | None = None
        self._at: float | None = None
        """When the case goes on."""
        self._rest_until = 0.0
        self.confirmed: Confirmed | None = None
        """Where the authority's state was last found to be ours."""

    def confirm(self, version: Version) -> None:
        """What is held at this version is what the authority holds."""
        state_hash = self._replica.state_hash(version)
        self.confirmed = None if state_hash is None else Confirmed(version, state_hash)

    def _agrees(self, confirmed: Confirmed | None) -> bool | None:
        """Whether we hold, or held, what the authority did; None when that isn't remembered."""
        ours = None if confirmed is None else self._replica.state_hash(confirmed.version)
        return None if ours is None or confirmed is None else ours == confirmed.state_hash

    def found(self, version: Version, member: Member, now: float) -> None:
        """A member holds another state at this head, which we remember."""
        if self._case is None and now >= self._rest_until:
            self._counters.add("states_audited")
            self._case = _Case(version, member.node_id, self._replica.audit())
            self._at = now

    def voted(
        self,
        version: Version,
        member: Member,
        now: float,
        *,
        alike: bool,
        confirmed: Confirmed | None,
    ) -> None:
        """A member has answered what it holds at a version."""
        case = self._case
        if case is None or case.version != version or member.node_id not in case.asked:
            return
        case.asked.remove(member.node_id)
        (case.alike if alike else case.unlike).append(member.node_id)
        case.contradicted |= self._agrees(confirmed) is False
        if not case.asked:
            self._at = now

    def renewed(self) -> None:
        """Something else is held now: what was found is of the past."""
        self._case = self._at = self.confirmed = None

    def advance(self, now: float) -> None:
        """Go on with the case."""
        case = self._case
        if case is None or self._at is None or now < self._at:
            return
        if case.audit is None:
            self._count_votes(case, now)
            return
        try:
            next(case.audit)
            self._at = now + limits.WORK_PAUSE
        except StopIteration as end:
            case.audit = None
            if end.value:
                self._ask_others(case, now)
            else:
                self._conclude(case, "damaged", now)

    def next_deadline(self) -> float | None:
        return self._at

    def _ask_others(self, case: _Case, now: float) -> None:
        able = [
            member
            for member in self._members.reachable()
            if member.serving is not None and member.serving >= case.version
        ]
        chosen = self._rng.sample(able, min(len(able), limits.COMPARE_MEMBERS_MAX))
        case.asked = [member.node_id for member in chosen]
        self._at = now + self._profile.probe_timeout
        for member in chosen:
            self._ask(member, case.version, now)

    def _count_votes(self, case: _Case, now: float) -> None:
        alike, unlike = 1 + len(case.alike), len(case.unlike)
        ours = self.confirmed
        if ours is not None and ours.version == case.version and self._agrees(ours):
            alike = unlike + 1
        elif case.contradicted:
            unlike = alike + 1
        if alike > unlike > 0:
            self._counters.add("states_upheld")
            self._rest(now)
        else:
            self._conclude(case, "outvoted" if unlike > alike else "undecided", now)

    def _conclude(
        self, case: _Case, verdict: Literal["damaged", "outvoted", "undecided"], now: float
    ) -> None:
        self._counters.add(f"states_{verdict}")
        self._outbox.notify(StateDiffers(case.version, case.member, verdict))
        self._rest(now)

    def _rest(self, now: float) -> None:
        self._case = self._at = None
        self._rest_until = now + limits.DAMAGE_REST_SECONDS
