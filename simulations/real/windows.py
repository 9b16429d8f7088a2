"""What is excused, and when: which failures a fault explains, and which it doesn't.

One declaration for each kind of window. What no window explains is a violation.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from simulations.real.history import EVERYWHERE, Operation, Window, WindowKind


@dataclass(frozen=True, slots=True)
class Excuse:
    """What a kind of window explains; seconds are how long after its end it still does."""

    reads: float | None = None
    """Requests to the node's proxy fail."""
    connections: float | None = None
    """Requests fail on connections to the node that were opened before the end of the window."""
    waits: float | None = None
    """Requests to the node's proxy get no answer in time; they may not be refused."""
    writes: float | None = None
    """Writes through the node fail, or have an unknown outcome."""
    others: float | None = None
    """Writes through any other node are refused: who stands still holds a lock for 5 s at most."""
    stale: float | None = None
    """Reads with a least revision are refused, and fences miss the node."""


EXCUSES: dict[WindowKind, Excuse] = {
    "down": Excuse(reads=0.5, connections=5.0, writes=0.5, others=12.0, stale=2.0),
    "worker": Excuse(connections=5.0, stale=2.0),
    "queue": Excuse(waits=0.5, stale=2.0),
    "paused": Excuse(reads=2.0, connections=5.0, writes=15.0, others=12.0, stale=5.0),
    "agent": Excuse(writes=15.0, others=12.0, stale=5.0),
    "authority": Excuse(writes=20.0, others=20.0, stale=5.0),
    "isolated": Excuse(stale=10.0),
    "lossy": Excuse(writes=20.0, others=20.0, stale=10.0),
    "disk": Excuse(),
    "clock": Excuse(),
}


TIMED_OUT = "TimeoutError"
"""In the words of an operation that nobody answered in time."""

NEVER_EXCUSED = (500,)
"""Statuses that say that a node met something it doesn't know."""

RACED = "a write of unknown outcome"
"""Explains a 412: what was answered as unknown has happened after all."""


class Windows:
    """All windows of a run, to be asked about an operation."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._windows = sorted(windows, key=lambda window: window.start)
        self._starts = [window.start for window in self._windows]
        self.lossy = [window for window in self._windows if window.kind == "lossy"]

    def excuse(self, operation: Operation) -> str | None:
        """The fault that explains why this operation wasn't done, or None."""
        if operation.status in NEVER_EXCUSED:
            return None
        if operation.status == 412 and operation.raced:
            return RACED
        for window in self._begun(operation.end + 0.5):
            here = window.node in (EVERYWHERE, operation.node)
            if _excuses(EXCUSES[window.kind], window, operation, here):
                return window.fault
        return None

    def lost_between(self, start: float, end: float) -> bool:
        """Whether history may have been lost at some time between the two."""
        return any(window.start <= end and window.end >= start for window in self.lossy)

    def unwell(self, node: str, start: float, end: float) -> bool:
        """Whether anything was wrong with a node between the two."""
        return any(
            window.end >= start and window.node in (EVERYWHERE, node) for window in self._begun(end)
        )

    def _begun(self, now: float) -> list[Window]:
        return self._windows[: bisect_right(self._starts, now)]


def _excuses(excuse: Excuse, window: Window, operation: Operation, here: bool) -> bool:
    def until(seconds: float | None) -> bool:
        return seconds is not None and operation.start <= window.end + seconds

    if operation.kind != "read":
        return until(excuse.writes if here else excuse.others)
    if operation.minimum >= 0 and operation.status == 503:
        return until(excuse.stale)
    if not here:
        return False
    if until(excuse.reads):
        return True
    if until(excuse.waits) and TIMED_OUT in operation.detail:
        return True
    return until(excuse.connections) and operation.opened <= window.end + 0.5
