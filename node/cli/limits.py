"""Every bound of the command line's life-cycle commands, in one place. Times in seconds."""

from node.agent.limits import (
    BIND_RETRY_SECONDS,
    LEAVE_SECONDS,
    SIGNAL_ONCE_SECONDS,
    WORKER_START_SECONDS,
)

POLL_SECONDS = 0.05
"""Between two looks at a node that is starting, stopping or reloading."""

STOP_GRACE_SECONDS = 10.0
"""What leaving and closing may take beyond shutdown_timeout; a node that takes longer is hung."""
FORCE_REPEAT_SECONDS = 1.5
"""Between two TERMs to a node that drains: close to the first signal a second doesn't count."""

REASON_SETTLED_SECONDS = 1.0
"""A reason for not being ready is told once it has lasted this long; starting takes less."""

RELOAD_SECONDS = 60.0
"""From HUP until new workers serve; a node gives up on workers before that."""

LOG_TAIL_BYTES = 16_384
LOG_TAIL_LINES = 20
"""How much of the log is shown of a node that didn't start."""

WAIT_SECONDS_MAX = 86_400.0
"""How long `cluster keys install --wait` may be told to wait."""
KEYS_POLL_SECONDS = 0.2
"""Between two looks at which members have a key."""
KEY_TEXT_BYTES_MAX = 1_024
"""What is read of standard input as a key."""

PID_FILE_BYTES_MAX = 32
FACTS_BYTES_MAX = 1024 * 1024
"""What a running node notes about itself; listeners and problems are bounded one by one."""
ASSIGNMENTS_BYTES_MAX = 1024 * 1024
"""All of `--set`, on their way to the daemon."""

assert LEAVE_SECONDS < STOP_GRACE_SECONDS
assert SIGNAL_ONCE_SECONDS < FORCE_REPEAT_SECONDS
assert WORKER_START_SECONDS + BIND_RETRY_SECONDS < RELOAD_SECONDS
