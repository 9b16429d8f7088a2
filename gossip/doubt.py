"""Self-doubt: a node that hears nobody accuses nobody, for a while.

A node that sends and can't receive sees everyone's probes fail at once. Consul's agents then
accused the whole cluster, which answered with a storm of refutations (hashicorp/consul#5928).
Lifeguard's health score slows such a node down and lets it accuse all the same.

While anything comes in from any member, a failed probe says something about its target. Where
nothing at all was heard since the probe began, it says as much about this node: the accusation is
withheld. What happens next decides:

* A member is heard again, and by then the probes of ``_FAILURES`` members had failed (or of all
  others, where those are fewer), or the silence had lasted for ``_SILENT_INTERVALS``: it was this
  node. What was withheld is dropped. (In every interval some member should have pinged this one,
  so the silence counts like failed probes of further members; a node in bad health, as this one
  is by now, would take long to try so many itself.)
* A member is heard before that: what was withheld is spoken, but what concerns that member.
* Nobody is heard for ``doubt_max``: cut off for good, or the last one left. What was withheld is
  spoken, and what follows too, until somebody is heard again.

No member is spared for longer than ``doubt_max`` without having been heard itself, however often
this node's silence has ended meanwhile. While anything is withheld, suspicions whose time is over
aren't turned into verdicts either: a refutation could not have been heard.
"""

import math

from gossip import limits
from gossip.counters import Counters
from gossip.messages.membership import Verdict
from gossip.probe import Failure
from gossip.profiles import Profile

_FAILURES = 3
_SILENT_INTERVALS = 2.5


class Doubt:
    """Holds accusations back. Methods answer those to be spoken now."""

    def __init__(self, profile: Profile, counters: Counters) -> None:
        self._profile = profile
        self._counters = counters
        self._heard_at = -math.inf
        self._recovered_at = -math.inf
        """When it last turned out that it was this node: probes begun before say nothing."""
        self._began: float | None = None
        self._withheld: dict[str, Verdict] = {}
        """By the accused, in order of failure."""
        self._doubted_since: dict[str, float] = {}
        """Members that were spared by doubt and not heard since, and from when on."""
        self._spoken = False
        """The time for doubt is over, and still nobody is heard."""

    @property
    def ends_at(self) -> float | None:
        """When what is withheld is spoken; None while nothing is."""
        return None if self._began is None else self._began + self._profile.doubt_max

    def failed(self, failure: Failure, now: float) -> list[Verdict]:
        """A probe has failed."""
        accusation = failure.accusation
        if self._overdue(accusation.node_id, now):
            return [accusation]
        if failure.sent_at < self._recovered_at:
            self._counters.add("accusations_dropped")
            return []
        if self._heard_at >= failure.sent_at or self._spoken:
            return [accusation]
        self._spare(accusation.node_id, now)
        if self._began is None:
            self._began = now
            self._counters.add("doubts")
        self._withheld[accusation.node_id] = accusation
        return []

    def heard(self, sender: str | None, others: int, now: float) -> list[Verdict]:
        """Something came from a member, or (None) from a machine that refuses: we do receive.
        ``others`` is how many other members run."""
        silence, self._heard_at = now - self._heard_at, now
        self._spoken = False
        if sender is not None:
            self._doubted_since.pop(sender, None)
        if self._began is None:
            return []
        withheld, self._withheld, self._began = self._withheld, {}, None
        long = silence >= _SILENT_INTERVALS * self._profile.probe_interval
        if long or len(withheld) >= min(_FAILURES, others):
            self._recovered_at = now
            self._counters.add("accusations_dropped", len(withheld))
            return []
        return [verdict for accused, verdict in withheld.items() if accused != sender]

    def _spare(self, accused: str, now: float) -> None:
        self._doubted_since.setdefault(accused, now)
        if len(self._doubted_since) > limits.MEMBERS_MAX:
            del self._doubted_since[next(iter(self._doubted_since))]

    def _overdue(self, accused: str, now: float) -> bool:
        """Whether doubt has spared this member for long enough, in however many goes: two survivors
        that hear each other seldom would else take themselves for deaf again and again."""
        since = self._doubted_since.get(accused)
        if since is None or now < since + self._profile.doubt_max:
            return False
        del self._doubted_since[accused]
        return True

    def advance(self, now: float) -> list[Verdict]:
        """Speak, when the time for doubt is over."""
        if self.ends_at is None or now < self.ends_at:
            return []
        withheld, self._withheld, self._began = self._withheld, {}, None
        self._doubted_since.clear()
        self._spoken = True
        return list(withheld.values())

    def grant_time(self, seconds: float) -> None:
        """This process stood still for so long: what came meanwhile may lie unread."""
        if self._began is not None:
            self._began += seconds
        for accused in self._doubted_since:
            self._doubted_since[accused] += seconds
