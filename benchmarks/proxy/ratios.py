"""What a series of rounds shows: the median of the rounds' ratios, and how sure it is."""

import random
import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

RESAMPLES = 4_000
CONFIDENCE = 0.95

Shown = Literal["goal", "floor", "not shown", "missed"]


class Ratio(NamedTuple):
    """A median with its bootstrap interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


class Aim(NamedTuple):
    """What a ratio should reach; ``floor`` is above ``goal`` where less is better."""

    floor: float
    goal: float

    def shown(self, ratio: Ratio) -> Shown:
        """``goal`` or ``floor``: the whole interval meets it. ``missed``: the whole interval misses
        the floor. ``not shown``: it straddles the floor."""
        sign = 1 if self.floor <= self.goal else -1
        worst, best = sorted((sign * ratio.low, sign * ratio.high))
        if worst >= sign * self.goal:
            return "goal"
        if worst >= sign * self.floor:
            return "floor"
        return "missed" if best < sign * self.floor else "not shown"


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Round by round, so that what slows the machine for a while slows both."""
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    rng = random.Random(20)
    medians = sorted(
        statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES)
    )
    cut = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    return Ratio(statistics.median(ratios), medians[cut], medians[-cut - 1])
