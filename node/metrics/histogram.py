"""A histogram of fixed buckets: counting costs a search among a dozen bounds and two additions."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Self


class Histogram:
    """Counts values by the lowest of ``bounds`` (ascending, inclusive) that isn't below them."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """By bucket; the last one has what is above all bounds."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def counters(self, name: str) -> dict[str, int]:
        """As counters, which add up over processes; the sum in millionths."""
        counters = {f"{name}_{number}": count for number, count in enumerate(self.counts)}
        counters[f"{name}_millionths"] = round(self.sum * 1e6)
        return counters

    @classmethod
    def of(cls, bounds: Sequence[float], name: str, counters: Mapping[str, int]) -> Self:
        """What ``counters`` has been made of; empty where it lacks some."""
        histogram = cls(bounds)
        for number in range(len(histogram.counts)):
            histogram.counts[number] = counters.get(f"{name}_{number}", 0)
        histogram.sum = counters.get(f"{name}_millionths", 0) / 1e6
        return histogram
