"""Local health (Lifeguard, LHA-Probe): a node that is itself slow gives others more time.

The score rises with what hints at this node's own trouble (a probe that failed, a helper that
didn't even say no, an accusation that had to be refuted, a stalled event loop) and falls with each
probe that succeeds.
"""


class Health:
    """The score, from 0 (healthy) to ``score_max``."""

    def __init__(self, score_max: int) -> None:
        self.score = 0
        self._score_max = score_max

    def add(self, delta: int) -> None:
        """Worse by ``delta``, or better when it is negative."""
        self.score = min(max(self.score + delta, 0), self._score_max)

    def stretch(self, seconds: float) -> float:
        """A wait, longer the worse the health: times 1 to times ``score_max + 1``."""
        return seconds * (self.score + 1)
