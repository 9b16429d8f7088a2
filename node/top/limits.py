"""Every bound of the live view. Sizes in bytes, times in seconds."""

DRAW_SECONDS = 0.25
"""Between two pictures, and so the longest that a key waits: a terminal is never flooded."""
POLL_SECONDS = 1.0
"""Between two questions to a node; rates are taken over the time between its answers."""
ASK_SECONDS_MAX = 2.0
"""A node that takes longer to answer, down to the last byte, is shown as one that doesn't."""
RETRY_SECONDS = 0.5
"""Between two tries for a node's stream of events."""
SILENCE_SECONDS_MAX = 60.0
"""Of a stream of events, which brings a comment every 15 s (``EVENT_HEARTBEAT_SECONDS``)."""
SETTLE_SECONDS = 1.0
"""How long a change may wait for the slowest node before its line is printed without it."""

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Of ``/cluster``, as for every other command: some 400 bytes a member."""
METRICS_BYTES_MAX = 1024 * 1024
SOURCES_MAX = 64
"""Nodes that are asked; the demo has at most 60."""
MEMBERS_MAX = 16_384
"""Members that an answer may list (``gossip.limits.MEMBERS_MAX``); the rest is passed over."""
NAME_CHARS_MAX = 128
TEXT_CHARS_MAX = 1_024
"""Of a text in an event."""
SECONDS_MAX = 253_402_300_000
"""Unix time that an event may name: up to the year 9999."""
REVISIONS_KEPT_MAX = 1_000
"""Changes whose line is printed already, and those that still wait for a node."""
LINES_KEPT_MAX = 200
"""Lines of what has happened; a picture shows the last of them."""
KEYS_WAITING_MAX = 64
"""Keys pressed since the last picture; further ones are lost."""

assert POLL_SECONDS >= DRAW_SECONDS
