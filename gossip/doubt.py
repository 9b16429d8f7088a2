"""Self-doubt: a node that hears nobody accuses nobody, for a while.

A node that sends and can't receive sees everyone's probes fail at once. Consul's agents then
accused the whole cluster, which answered with a storm of refutations (hashicorp/consul#5928).
Lifeguard's health score slows such a node down and lets it accuse all the same.

While anything comes in from any member, a failed probe says something about its target. Where
nothing at all was heard since the probe began, it says as much about this node: the accusation is
withheld. What happens next decides:

* A member is heard, and the probes of at least ``_FAILURES`` members (or of all others, where those
  are fewer) had failed by then: it was this node. What was withheld is dropped.
* A member is heard before: what was withheld is spoken, but what concerns that member.
* Nobody is heard for ``doubt_max``: cut off for good, or the last one left. What was withheld is
  spoken, and what follows too, until somebody is heard again.

In the meantime suspicions whose time is over aren't turned into verdicts either: a refutation could
not have been heard.
"""

import math

from gossip.counters import Counters
from gossip.messages import Verdict
from gossip.probe import Failure
from gossip.profiles import Profile

_FAILURES = 3


class Doubt:
    """Holds accusations back. Methods answer those to be spoken now."""

    def __init__(self, profile: Profile, counters: Counters) -> None:
        self._profile = profile
        self._counters = counters
        self._heard_at = -math.inf
        self._began: float | None = None
        self._withheld: dict[str, Verdict] = {}
        """By the accused, in order of failure."""
        self._spoken = False
        """The time for doubt is over, and still nobody is heard."""

    @property
    def ends_at(self) -> float | None:
        """When what is withheld is spoken; None while nothing is."""
        return None if self._began is None else self._began + self._profile.doubt_max

    def failed(self, failure: Failure, others: int, now: float) -> list[Verdict]:
        """A probe has failed. ``others`` is how many other members run."""
        accusation = failure.accusation
        if self._heard_at >= failure.sent_at or self._spoken:
            return [accusation]
        if self._began is None:
            self._began = now
        before = len(self._withheld)
        self._withheld[accusation.node_id] = accusation
        enough = min(_FAILURES, others)
        if before < enough <= len(self._withheld):
            self._counters.add("doubts")
        return []

    def heard(self, sender: str | None, others: int, now: float) -> list[Verdict]:
        """Something came from a member, or (None) from a machine that refuses: we do receive."""
        self._heard_at = now
        self._spoken = False
        if self._began is None:
            return []
        withheld, self._withheld, self._began = self._withheld, {}, None
        if len(withheld) >= min(_FAILURES, others):
            self._counters.add("accusations_dropped", len(withheld))
            return []
        return [verdict for accused, verdict in withheld.items() if accused != sender]

    def advance(self, now: float) -> list[Verdict]:
        """Speak, when the time for doubt is over."""
        if self.ends_at is None or now < self.ends_at:
            return []
        withheld, self._withheld, self._began = self._withheld, {}, None
        self._spoken = True
        return list(withheld.values())

    def grant_time(self, seconds: float) -> None:
        """This process stood still for so long: what came meanwhile may lie unread."""
        if self._began is not None:
            self._began += seconds
