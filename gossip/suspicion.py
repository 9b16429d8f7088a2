"""Suspicion with confirmations (Lifeguard, arXiv 1707.00788, LHA-Suspicion).

An accused member has time to refute. The time starts at a maximum and shrinks with each member that
accuses it independently: one accuser may itself be slow or half cut off, several hardly are.

    timeout(c) = max(min, max - (max - min) * ln(c + 1) / ln(k + 1))
    min        = suspicion_mult * max(1, log10(n)) * probe_interval
    max        = suspicion_max_mult * min
    k          = suspicion_mult - 2; 0 (so min at once) when fewer than k others could confirm

where n counts the members, this node included, and c the accusers after the first.
"""

import math
from dataclasses import dataclass, field

from gossip.profiles import Profile


@dataclass(slots=True, eq=False)
class Suspicion:
    """The case against one member, at one incarnation. Times are in seconds."""

    started: float
    minimum: float
    maximum: float
    confirmations_expected: int
    accusers: dict[str, None] = field(default_factory=dict)
    """Node ids in order of accusation; the first opened the case."""
    timeout: float = field(init=False)
    """By the formula above. Asked for at every step, so kept."""

    def __post_init__(self) -> None:
        self.timeout = self._timeout()

    def confirm(self, accuser: str) -> bool:
        """Whether this accuser is new and shortens the time; only then it is worth spreading."""
        if accuser in self.accusers or len(self.accusers) > self.confirmations_expected:
            return False
        self.accusers[accuser] = None
        self.timeout = self._timeout()
        return True

    @property
    def deadline(self) -> float:
        """When the member counts as failed unless it has refuted."""
        return self.started + self.timeout

    def _timeout(self) -> float:
        if self.confirmations_expected == 0:
            return self.minimum
        confirmations = len(self.accusers) - 1
        share = math.log(confirmations + 1) / math.log(self.confirmations_expected + 1)
        timeout = self.maximum - (self.maximum - self.minimum) * share
        return max(self.minimum, timeout)


def open_suspicion(profile: Profile, members: int, accuser: str, now: float) -> Suspicion:
    """Begin a case in a cluster of ``members`` (this node and the accused included)."""
    minimum = profile.suspicion_mult * max(1.0, math.log10(max(1, members)))
    minimum *= profile.probe_interval
    expected = profile.suspicion_mult - 2
    if members - 2 < expected:
        expected = 0
    return Suspicion(
        started=now,
        minimum=minimum,
        maximum=profile.suspicion_max_mult * minimum,
        confirmations_expected=expected,
        accusers={accuser: None},
    )
