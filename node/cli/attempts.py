"""When a database that can't be reached is tried again."""

RETRY_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between attempts; the last is repeated."""


class Attempts:
    """Those of one command, which tries for ``seconds`` from ``now`` on."""

    def __init__(self, seconds: float, now: float) -> None:
        self._ends_at = now + seconds
        self._pauses = iter(RETRY_PAUSES_SECONDS)

    def pause(self, now: float) -> float | None:
        """Seconds until the next attempt, after one that failed; None when there is none any
        more."""
        pause = next(self._pauses, RETRY_PAUSES_SECONDS[-1])
        return None if now + pause > self._ends_at else pause
