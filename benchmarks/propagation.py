"""How long a change takes to reach every node: from the Admin API's answer to a proxied request.

Each round writes a route on a random node of a cluster of real processes on this machine. From the
moment that the Admin API has answered, every other node's proxy is asked for the new path, over one
kept connection, again and again until it answers from the upstream. The yardstick, taken in the
same round and in the same way, is a path that has been live for long: what it takes is the cost of
the measurement itself.

    python -m benchmarks.propagation [--nodes 3,10] [--writes 200] [--base-port PORT] [--seed 1]
"""

import asyncio
import math
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster_sizes import run
from benchmarks.kept_connection import KeptConnection
from node.demo.cluster import LocalCluster, LocalNode
from node.demo.ports import HOST, choose_base
from node.demo.upstream import SampleUpstream

ROUND_SECONDS_MAX = 10.0


class Caller:
    """One kept connection to a node's proxy."""

    def __init__(self, node: LocalNode) -> None:
        self._connection = KeptConnection(node.ports.proxy)

    async def until_live(self, path: str, start: float) -> float:
        """Ask until the answer is 200; seconds since ``start``."""
        while (await self._connection.request("GET", path)).status != 200:
            pass
        return time.perf_counter() - start

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Figures:
    """What one cluster size gave; times in milliseconds."""

    nodes: int
    writes: int
    p50: float
    p99: float
    max: float
    yardstick_p50: float
    yardstick_p99: float
    write_p50: float


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of all values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


async def measure(nodes: int, writes: int, base_port: int | None, rng: random.Random) -> Figures:
    """Run one cluster and take its figures."""
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as home:
        upstream = SampleUpstream()
        cluster = LocalCluster(Path(home), nodes, choose_base(nodes, base_port))
        callers = {node.name: Caller(node) for node in cluster.nodes}
        try:
            await upstream.start()
            await cluster.bootstrap()
            await cluster.start()
            service = {"name": "bench", "url": f"http://{HOST}:{upstream.port}"}
            first = cluster.nodes[0].admin_url
            await cluster.post_json(f"{first}/services", service)
            return await _rounds(cluster, callers, writes, rng)
        finally:
            for caller in callers.values():
                caller.close()
            await cluster.stop()
            await upstream.stop()


async def _rounds(
    cluster: LocalCluster, callers: dict[str, Caller], writes: int, rng: random.Random
) -> Figures:
    arrivals: list[float] = []
    yardstick: list[float] = []
    answered: list[float] = []
    known = ""
    for number in range(writes + 1):
        writer = rng.choice(cluster.nodes)
        others = [callers[node.name] for node in cluster.nodes if node is not writer]
        path = f"/bench-{number}"
        before = time.perf_counter()
        await cluster.post_json(
            f"{writer.admin_url}/services/bench/routes", {"name": path[1:], "paths": [path]}
        )
        start = time.perf_counter()
        times = await _until_all_live(others, path, start)
        if known:  # the first round opens the connections and is not counted
            answered.append((start - before) * 1000)
            arrivals += times
            yardstick += await _until_all_live(others, known, time.perf_counter())
        known = path
    return Figures(
        nodes=len(cluster.nodes),
        writes=writes,
        p50=statistics.median(arrivals),
        p99=percentile(arrivals, 0.99),
        max=max(arrivals),
        yardstick_p50=statistics.median(yardstick),
        yardstick_p99=percentile(yardstick, 0.99),
        write_p50=statistics.median(answered),
    )


async def _until_all_live(callers: list[Caller], path: str, start: float) -> list[float]:
    async with asyncio.timeout(ROUND_SECONDS_MAX):
        times = await asyncio.gather(*(caller.until_live(path, start) for caller in callers))
    return [seconds * 1000 for seconds in times]


def report(figures: Figures) -> str:
    """One row of the table."""
    return (
        f"{figures.nodes:>5} {figures.writes:>7} {figures.p50:>8.1f} {figures.p99:>8.1f}"
        f" {figures.max:>8.1f} {figures.yardstick_p50:>10.1f} {figures.yardstick_p99:>10.1f}"
        f" {figures.p50 / figures.yardstick_p50:>7.2f} {figures.write_p50:>9.1f}"
    )


def main() -> None:
    heading = (
        "Admin API's answer to the first correct answer of each other node's proxy, in ms\n"
        "nodes  writes      p50      p99      max   live p50   live p99   ratio  write p50"
    )
    run(
        "propagation",
        heading,
        measure,
        report,
        about=__doc__,
        sizes="3,10",
        writes="writes for each",
    )


if __name__ == "__main__":
    main()
