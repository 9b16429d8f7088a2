"""What a cluster costs that has nothing to do: processor, memory, log lines, of each node.

Real processes on this machine, one worker each, on one SQLite authority. After a start that is not
counted, each node's processor time (supervisor and worker, user and system), its memory at the end
(PSS: shared pages counted by halves, thirds, …) and the lines of its log are taken. The yardstick,
in the same run, is an interpreter that has imported uvloop and aiohttp and sleeps: memory that no
Python node can be without.

    python -m benchmarks.idle [--nodes 3] [--seconds 600] [--base-port PORT]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.ports import choose_base

SETTLE_SECONDS = 5.0
YARDSTICK = "import aiohttp, time, uvloop; print('up', flush=True); time.sleep(3600)"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one node has used so far."""

    processor_seconds: float
    pss_mib: float
    processes: int
    log_lines: int


def descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += descendants(int(child))
    return found


def processor_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mib(pid: int) -> float:
    """Proportional set size of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss line")


def read(node: LocalNode) -> Reading:
    """Take a node's reading."""
    assert node.process is not None
    pids = descendants(node.process.pid)
    return Reading(
        processor_seconds=sum(map(processor_seconds, pids)),
        pss_mib=sum(map(pss_mib, pids)),
        processes=len(pids),
        log_lines=node.log.read_text().count("\n"),
    )


def yardstick_pss() -> float:
    """Memory of a Python process with the same libraries that does nothing."""
    command = [sys.executable, "-c", YARDSTICK]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            return pss_mib(process.pid)
        finally:
            process.kill()


async def measure(nodes: int, seconds: float, base_port: int | None) -> None:
    """Run a cluster for a while and print what it took."""
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as home:
        cluster = LocalCluster(
            Path(home), nodes, choose_base(nodes, base_port), {"cluster_profile": "lan"}
        )
        try:
            await cluster.bootstrap()
            await cluster.start()
            await asyncio.sleep(SETTLE_SECONDS)
            before = {node.name: read(node) for node in cluster.nodes}
            await asyncio.sleep(seconds)
            after = {node.name: read(node) for node in cluster.nodes}
        finally:
            await cluster.stop()
    yardstick = yardstick_pss()
    print(f"{nodes} idle nodes for {seconds:g} s; yardstick {yardstick:.0f} MiB a process")
    print("node    % of a core   PSS MiB   processes   log lines")
    shares = []
    for name, reading in after.items():
        used = reading.processor_seconds - before[name].processor_seconds
        shares.append(100 * used / seconds)
        lines = reading.log_lines - before[name].log_lines
        print(
            f"{name:<7} {shares[-1]:>11.2f} {reading.pss_mib:>9.0f} {reading.processes:>11}"
            f" {lines:>11}"
        )
    figures = {name: asdict(reading) for name, reading in after.items()}
    medians = {
        "percent": round(statistics.median(shares), 3),
        "pss_mib": round(statistics.median(reading.pss_mib for reading in after.values()), 1),
        "processes": statistics.median_low(reading.processes for reading in after.values()),
        "yardstick_mib": round(yardstick, 1),
    }
    print(json.dumps({"benchmark": "idle", "seconds": seconds, **medians, "nodes": figures}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    options = parser.parse_args()
    asyncio.run(measure(options.nodes, options.seconds, options.base_port))


if __name__ == "__main__":
    main()
