"""Every bound of the replica file, in one table. Times in seconds, sizes in bytes."""

from store.changeset import BODY_BYTES_MAX
from store.limits import LOG_BYTES_MAX

PENDING_CHANGESETS_MAX = 40_000
"""Changesets that wait to be written; beyond it the file is written anew as a whole. A node that
was away for long catches up before it writes."""
PENDING_BYTES_MAX = 128 * 1024 * 1024

BATCH_CHANGESETS_MAX = 1_000
"""Changesets of one transaction: a long one keeps the write-ahead log from being worked off."""
BATCH_BYTES_MAX = BODY_BYTES_MAX
BATCH_PAUSE_SECONDS = 0.25
"""From the end of one batch to the next, so that changes that come one by one are written in few
transactions, too: each costs the node as much as a tenth of what it takes to make a change."""
FULL_BATCH_PAUSE_SECONDS = 0.05
"""The same while as much waits as goes into a batch."""

SLICE_ENTITIES = 2_000
"""Entities of one transaction when everything is written."""

RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after the n-th failure in a row; the last one goes on."""

ASIDE_MAX = 2
"""Files set aside that are kept; the newest stay."""

WAL_BYTES_MAX = 64 * 1024 * 1024
"""To which the write-ahead log is cut once it was worked off."""
BUSY_SECONDS_MAX = 1.0

assert BODY_BYTES_MAX <= PENDING_BYTES_MAX, "every changeset may wait"
assert BATCH_BYTES_MAX <= PENDING_BYTES_MAX
assert FULL_BATCH_PAUSE_SECONDS <= BATCH_PAUSE_SECONDS
assert LOG_BYTES_MAX <= PENDING_BYTES_MAX
