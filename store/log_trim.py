"""Lets go of the oldest log rows, so that the log doesn't grow without bound.

Whoever commits a revision that is a multiple of TRIM_EVERY trims: one node now and then, without
agreement. A node that needs what is gone reloads the state; a write id that is gone can't be found
again, so an ``Idempotency-Key`` is good for as long as the log. Rows that are gone prove nothing
about forks: the head row stays.
"""

from dataclasses import dataclass

from store.limits import (
    LOG_REVISIONS_MAX,
    LOG_REVISIONS_MIN,
    LOG_SECONDS_MAX,
    TRIM_EVERY,
    TRIM_ROWS_MAX,
)
from store.plan import Plan, Statement


@dataclass(frozen=True, slots=True)
class LogBounds:
    """How much of the log stays. Raises ValueError when they contradict each other."""

    revisions_max: int = LOG_REVISIONS_MAX
    """At most about so many (TRIM_EVERY more)."""
    revisions_min: int = LOG_REVISIONS_MIN
    """So many stay, however old they are: nodes catch up from them."""
    seconds_max: float = LOG_SECONDS_MAX
    """Older ones go, by the clocks of their writers."""

    def __post_init__(self) -> None:
        if not 0 < self.revisions_min <= self.revisions_max:
            raise ValueError(
                f"a log keeps 1 to {self.revisions_max} revisions at least, not"
                f" {self.revisions_min}"
            )


def is_due(revision: int, count: int = 1) -> bool:
    """Whether one of the last ``count`` revisions up to this one is a time to trim."""
    return revision // TRIM_EVERY > (revision - count) // TRIM_EVERY


def trim(revision: int, now: float, bounds: LogBounds) -> Plan[int]:
    """Delete at most TRIM_ROWS_MAX of the oldest log rows; answers how many.

    ``revision`` is the head's or an older one, ``now`` in Unix seconds. Of the log only its oldest
    rows are looked at. Twice at once is no harm.
    """
    gone, may_go = revision - bounds.revisions_max, revision - bounds.revisions_min
    rows = yield Statement(
        "DELETE FROM log WHERE revision IN (SELECT revision FROM"
        f" (SELECT revision, committed_at FROM log ORDER BY revision LIMIT {TRIM_ROWS_MAX}) oldest"
        " WHERE revision <= $1 OR (revision <= $2 AND committed_at < $3)) RETURNING revision",
        (gone, may_go, now - bounds.seconds_max),
    )
    return len(rows)
