"""A process whose wall clock is stepped from outside, while it runs."""

import os
import subprocess
import sys
import time
from pathlib import Path

from simulations.real.stepped.sitecustomize import OFFSET, VARIABLE

FOLDER = Path(__file__).resolve().parents[3] / "simulations/real/stepped"
TELLS = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"


def test_only_the_wall_clock_of_that_process_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_bytes(OFFSET.pack(0.0))
    environment = {**os.environ, "PYTHONPATH": str(FOLDER), VARIABLE: str(file)}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", TELLS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for offset in (0.0, 86_400.0, -86_400.0):
            with file.open("r+b", buffering=0) as written:
                written.write(OFFSET.pack(offset))
            process.stdin.write("\n")
            process.stdin.flush()
            wall, monotonic = map(float, process.stdout.readline().split())
            assert abs(wall - time.time() - offset) < 60
            assert abs(monotonic - time.monotonic()) < 60
        process.stdin.close()
