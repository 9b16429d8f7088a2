"""From values to places on a drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """From ``low`` at the place ``begin`` to ``high`` at ``end``, linear or by powers."""

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.begin + share * (self.end - self.begin)

    def ticks(self, about: int = 6) -> Sequence[float]:
        """Round values, some ``about`` of them; the powers of ten of a logarithmic one."""
        if self.logarithmic:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers]
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(nice * power for nice in _NICE if nice * power >= rough * 0.999)
        first = math.ceil(self.low / step)
        return [step * place for place in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def between(self) -> Sequence[float]:
        """Of a logarithmic one, what lies between its ticks: 2, 3, … times a power of ten."""
        if not self.logarithmic:
            return []
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [times * 10.0**power for power in powers for times in range(2, 10)]
        return [value for value in values if self.low <= value <= self.high]


def shown(value: float) -> str:
    """A number on an axis."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:g}"


def percent(share: float) -> str:
    """A share, with the blank that belongs there."""
    return f"{100 * share:g} %"
