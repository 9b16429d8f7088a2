"""What the agent measures by itself, for as long as it runs."""

from collections import deque
from typing import Any

from node.metrics.histogram import Histogram

PROPAGATION_BOUNDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Seconds."""
HOPS_BOUNDS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
ADMIN_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""

DELAYS_KEPT = 4_096
"""So many of the latest delays are in the summary."""

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Propagation:
    """How long changesets of other nodes take to come here (DESIGN 4, point 9)."""

    def __init__(self) -> None:
        self.seconds = Histogram(PROPAGATION_BOUNDS)
        self.hops = Histogram(HOPS_BOUNDS)
        self._latest: deque[float] = deque(maxlen=DELAYS_KEPT)

    def observe(self, delay: float | None, hops: int) -> None:
        """A changeset was applied; ``delay`` in seconds, None where nobody knows."""
        if delay is None:
            return
        self.seconds.observe(delay)
        self.hops.observe(hops)
        self._latest.append(delay)

    def summary(self) -> dict[str, Any]:
        """Of the latest ``count`` delays: the median, the 99th percentile and the greatest, in
        seconds; None without any."""
        delays = sorted(self._latest)
        if not delays:
            return {"count": 0, "p50": None, "p99": None, "max": None}
        count = len(delays)
        # Nearest rank: the lowest delay that so many hundredths of all don't exceed.
        p50, p99 = (delays[-(-count * percent // 100) - 1] for percent in (50, 99))
        return {"count": count, "p50": p50, "p99": p99, "max": delays[-1]}


class Answers:
    """Requests that an API has answered, by status class, and how long their answers took to
    begin."""

    def __init__(self) -> None:
        self.by_class = dict.fromkeys(STATUS_CLASSES, 0)
        self.seconds = Histogram(ADMIN_BOUNDS)

    def observe(self, status: int, seconds: float) -> None:
        """A head of an answer goes out."""
        self.by_class[STATUS_CLASSES[min(max(status // 100, 1), 5) - 1]] += 1
        self.seconds.observe(seconds)


class Measures:
    """All of it."""

    def __init__(self) -> None:
        self.propagation = Propagation()
        self.admin = Answers()
