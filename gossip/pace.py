"""How long writers should wait so that the others keep up (DESIGN 4, point 10).

Every packet with a heartbeat, and every announcement, tells how far its sender has come. Where the
median of those heard lately lags by more than a burst leaves behind, this node's writers are slowed
down in proportion, for no longer than a bound: one slow member, or a few, slow nobody.
"""

from statistics import median_low

from gossip import limits
from gossip.counters import Counters
from gossip.members import Members
from gossip.replica import Version

_HEARD_SECONDS = 3.0
"""What a member told longer ago says nothing of where it is now."""
_SECONDS_PER_CHANGE = 0.000_05
"""Of waiting, for each changeset that the median lags too far."""
_SPEAKERS_MIN = 3
"""So few are no sample of a cluster that has more."""


class Pace:
    """How far the members heard lately were behind this node then."""

    def __init__(self, members: Members, counters: Counters) -> None:
        self._members = members
        self._counters = counters
        self._lags: dict[str, tuple[float, int]] = {}
        """By node id: when, and by how many changesets. The longest ago comes first."""

    def heard(self, node_id: str, theirs: Version, mine: Version, now: float) -> None:
        """A member told what it serves, and this is what we do. Those of another history don't
        count: they have other work than catching up."""
        self._lags.pop(node_id, None)
        if theirs[:2] == mine[:2]:
            self._lags[node_id] = (now, max(0, mine[2] - theirs[2]))

    def pause(self, now: float) -> float:
        """Seconds that a writer should wait before its next commit: mostly 0, never more than
        ``limits.WRITE_PAUSE_SECONDS_MAX``."""
        if not self._lags:
            return 0.0
        while self._lags:
            oldest = next(iter(self._lags))
            if now - self._lags[oldest][0] < _HEARD_SECONDS:
                break
            del self._lags[oldest]
        lags = [lag for _, lag in self._lags.values()]
        if len(lags) < min(_SPEAKERS_MIN, self._members.running() - 1) or not lags:
            return 0.0
        excess = median_low(lags) - limits.LAG_CHANGESETS_MAX
        if excess <= 0:
            return 0.0
        self._counters.add("writes_slowed")
        return min(excess * _SECONDS_PER_CHANGE, limits.WRITE_PAUSE_SECONDS_MAX)
