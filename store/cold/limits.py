"""Every bound of cold look-ups, in one table."""

OVERLAY_ENTITIES_MAX = 100_000
"""Changes that the file hasn't; beyond it the agent is asked instead."""
OVERLAY_BYTES_MAX = 64 * 1024 * 1024

CACHE_ANSWERS_MAX = 20_000
CACHE_BYTES_MAX = 32 * 1024 * 1024

CACHE_SECONDS_MAX = 600.0
"""How long an answer is kept: what memory has made of it shows within that time (DESIGN 5)."""

ROWS_MAX = 1_000
"""Entities of one look-up: the groups of a consumer, its credentials."""

SHARED_BYTES = 200
"""What an entry takes besides its text."""
