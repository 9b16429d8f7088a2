"""Where a run takes place: in namespaces of its own, or in this process' surroundings.

The run is a process of its own. With root's rights and util-linux it gets network, mount and PID
namespaces, so that all it makes (processes, interfaces, rules, mounts) goes when it ends, however
it ends. It ends early when its standard input does, so it can't outlive whoever asked for it.
"""

import os
import shutil
import signal
import subprocess
import sys
from types import FrameType

from simulations.real.options import Options

CLEAN_SECONDS = 60.0
"""How long a run that was told to end has to take everything down before it is killed."""

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as shells have it."""

_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_ENCLOSED_TOOLS = ("unshare", "ip", "nft", "mount")


def obstacle() -> str:
    """Why namespaces can't be had here; empty when they can."""
    if not sys.platform.startswith("linux"):
        return "only Linux has them"
    if os.geteuid() != 0:
        return "only root may make them and run Postgres in them"
    missing = [tool for tool in _ENCLOSED_TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (packages util-linux, iproute2, nftables)"
    rules = "add table inet grapevine"
    done = subprocess.run(
        [*_UNSHARE, "nft", rules], capture_output=True, text=True, check=False, timeout=10
    )
    return done.stderr.strip() if done.returncode else ""


def run_enclosed(options: Options) -> int:
    """Run in a process of its own; answers its exit code. Ctrl-C and TERM end it early."""
    command = [sys.executable, "-P", "-m", "simulations.real.inside", options.encoded()]
    process = subprocess.Popen(
        [*(_UNSHARE if options.enclosed else ()), *command],
        stdin=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C in the terminal comes to this process alone
    )
    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if told:
            process.kill()
        told = True
        assert process.stdin is not None
        process.stdin.close()
        signal.setitimer(signal.ITIMER_REAL, CLEAN_SECONDS)

    former = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    former[signal.SIGALRM] = signal.signal(signal.SIGALRM, end)
    try:
        code = process.wait()
    finally:
        process.kill()
        for number, handler in former.items():
            signal.signal(number, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    return INTERRUPTED if told else code
