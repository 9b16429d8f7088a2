"""Metrics with labels, counted in workers and shown by the agent.

A series is a metric's name and its labels' values, joined to one name: so the agent adds up what
several workers count without knowing what it is. Each second a worker sends those that changed.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from node.plugins import limits

_SEPARATOR = "\x1f"
DROPPED = "series_dropped"
"""How often something wasn't counted because there were too many series."""


def series_name(metric: str, labels: Sequence[str]) -> str:
    """The name of a series; values are cut to LABEL_CHARS_MAX."""
    cut = (
        value.replace(_SEPARATOR, " ")[: limits.LABEL_CHARS_MAX]
        .encode("utf-8", "replace")
        .decode("utf-8")
        for value in labels
    )
    return _SEPARATOR.join((metric, *cut))


def parted(name: str) -> tuple[str, tuple[str, ...]]:
    """The metric and its labels' values again."""
    metric, *labels = name.split(_SEPARATOR)
    return metric, tuple(labels)


class Series:
    """Those of one worker, up to a number of them."""

    def __init__(self, series_max: int = limits.SERIES_MAX) -> None:
        self._values: dict[str, int] = {}
        self._changed: set[str] = set()
        self._max = series_max

    def add(self, name: str, amount: int = 1) -> None:
        """Count; ``name`` is of ``series_name``."""
        if name not in self._values and len(self._values) >= self._max:
            name = DROPPED  # itself beyond the bound, by one
        self._values[name] = self._values.get(name, 0) + amount
        self._changed.add(name)

    def take_changed(self) -> dict[str, int]:
        """The values of those that have changed since this was asked last."""
        changed, self._changed = self._changed, set()
        return {name: self._values[name] for name in changed}


class HistogramNames:
    """The names of a histogram's series for some labels: a bucket each, and the sum."""

    __slots__ = ("_bounds", "_buckets", "_sum")

    def __init__(self, metric: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._buckets = [
            series_name(f"{metric}#{number}", labels) for number in range(len(bounds) + 1)
        ]
        self._sum = series_name(f"{metric}#sum", labels)

    def observe(self, series: Series, value: int) -> None:
        """Count a value under the lowest bound that isn't below it."""
        series.add(self._buckets[bisect_left(self._bounds, value)])
        series.add(self._sum, value)


def of_metric(
    counters: Mapping[str, int], metric: str
) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """What stands behind ``#``, labels and value of all series of a metric."""
    for name, value in counters.items():
        if name.startswith(metric):
            own, labels = parted(name)
            base, _, part = own.partition("#")
            if base == metric:
                yield part, labels, value
