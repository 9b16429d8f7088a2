"""PID 1 in a PID namespace of its own, as in a container."""

import subprocess
import sys

NODE = """
import os, signal, subprocess, sys, time
from node.agent.init_process import become_init_if_pid_1

become_init_if_pid_1()
assert os.getpid() != 1
# An orphan: its parent, the shell, ends at once, so PID 1 inherits it and must reap it.
subprocess.run(["sh", "-c", "sleep 0.2 & echo $! > orphan"], check=True)
orphan = open("orphan").read().strip()
deadline = time.monotonic() + 10
while os.path.exists(f"/proc/{orphan}"):
    assert time.monotonic() < deadline, "the orphan is a zombie"
    time.sleep(0.01)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
os.kill(1, signal.SIGTERM)
signal.pause()
"""


def test_pid_1_reaps_orphans_passes_signals_on_and_exits_as_the_node_does(tmp_path: object) -> None:
    command = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run(
        [*command, sys.executable, "-P", "-c", NODE],
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 7, done.stderr
