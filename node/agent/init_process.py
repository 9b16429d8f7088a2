"""PID 1 of a container: passes signals on and reaps orphans, so that the node need not.

The node's own event loop waits for its own children only; as PID 1 it would inherit every orphan in
the container as a zombie. So PID 1 forks: the child is the node, the parent is this.
"""

import os
import signal
import sys

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def become_init_if_pid_1() -> None:
    """As PID 1, fork and stay as init, exiting with the node's exit code; else do nothing."""
    if os.getpid() != 1:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        return
    for number in FORWARDED:
        signal.signal(number, lambda received, _: _forward(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    sys.stdout.flush()
    os._exit(_reap_until(child))


def _forward(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        pass


def _reap_until(child: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
