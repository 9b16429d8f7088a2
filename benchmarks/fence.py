"""What it costs to be told that everyone has a write: fenced beside unfenced writes.

On a cluster of real processes on this machine, writes go through random nodes one after another,
every other one with ``Grapevine-Fence: all``. The answer to that comes when every worker of every
node serves the write; the answer to the others when those of the answering node do. All nodes share
the cores of one machine: with many of them most of the difference is their turns at the processor,
for which nodes on machines of their own don't wait.

    python -m benchmarks.fence [--nodes 3,20] [--writes 200] [--base-port PORT] [--seed 1]
"""

import asyncio
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster_sizes import run
from benchmarks.propagation import percentile
from node.demo.cluster import LocalCluster, LocalNode
from node.demo.ports import choose_base

FENCE_SECONDS = 30
TOGETHER = 4
"""Nodes that start at once."""
WARM_UP = 10
"""Writes of each kind that aren't counted: they open the connections."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one cluster size gave; times in milliseconds."""

    nodes: int
    writes: int
    """Of each kind."""
    complete: int
    """Fences that were."""
    fenced_p50: float
    fenced_p99: float
    unfenced_p50: float
    unfenced_p99: float
    ratio_p50: float
    ratio_p99: float
    asked_again: int
    """Questions that were sent once more, over all fences and members."""


async def measure(nodes: int, writes: int, base_port: int | None, rng: random.Random) -> Figures:
    """Run one cluster and take its figures."""
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as home:
        cluster = LocalCluster(Path(home), 1, choose_base(nodes, base_port))
        try:
            await cluster.bootstrap()
            await cluster.start()
            await _add_nodes(cluster, nodes - 1)
            return await _rounds(cluster, writes, rng)
        finally:
            await cluster.stop()


async def _add_nodes(cluster: LocalCluster, count: int) -> None:
    """A few at once: starting is what takes the processors most."""
    while count > 0:
        added = [cluster.add_node() for _ in range(min(TOGETHER, count))]
        count -= len(added)
        await asyncio.gather(*(node.start() for node in added))
        await asyncio.gather(*(node.until_ready(cluster.session) for node in added))
    await cluster.until_view({node.name: "alive" for node in cluster.nodes})


async def _rounds(cluster: LocalCluster, writes: int, rng: random.Random) -> Figures:
    fenced: list[float] = []
    unfenced: list[float] = []
    complete = 0
    for number in range(-WARM_UP, writes):
        for times, headers in (
            (unfenced, {}),
            (fenced, {"Grapevine-Fence": f"all; timeout={FENCE_SECONDS}"}),
        ):
            writer = rng.choice(cluster.nodes)
            seconds, outcome = await _write(cluster, writer, headers)
            if number >= 0:
                times.append(seconds * 1000)
                complete += outcome == f"complete; members={len(cluster.nodes)}"
    return Figures(
        nodes=len(cluster.nodes),
        writes=writes,
        complete=complete,
        fenced_p50=statistics.median(fenced),
        fenced_p99=percentile(fenced, 0.99),
        unfenced_p50=statistics.median(unfenced),
        unfenced_p99=percentile(unfenced, 0.99),
        ratio_p50=statistics.median(fenced) / statistics.median(unfenced),
        ratio_p99=percentile(fenced, 0.99) / percentile(unfenced, 0.99),
        asked_again=await _asked_again(cluster),
    )


async def _write(
    cluster: LocalCluster, writer: LocalNode, headers: dict[str, str]
) -> tuple[float, str]:
    """Seconds to the answer, and what it says of its fence."""
    began = time.perf_counter()
    async with cluster.session.post(
        f"{writer.admin_url}/services", json={"host": "h.test"}, headers=headers
    ) as response:
        await response.read()
        seconds = time.perf_counter() - began
        if response.status not in (201, 202):
            raise ValueError(f"{writer.name} answers a write with {response.status}")
        return seconds, response.headers.get("Grapevine-Fence", "")


async def _asked_again(cluster: LocalCluster) -> int:
    answers = await asyncio.gather(
        *(cluster.get_json(f"{node.admin_url}/status") for node in cluster.nodes)
    )
    return sum(answer["cluster"]["counters"]["fence_questions_again"] for answer in answers)


def report(figures: Figures) -> str:
    """One row of the table."""
    return (
        f"{figures.nodes:>5} {figures.writes:>7} {figures.complete:>9}"
        f" {figures.unfenced_p50:>9.1f} {figures.unfenced_p99:>9.1f}"
        f" {figures.fenced_p50:>9.1f} {figures.fenced_p99:>9.1f}"
        f" {figures.ratio_p50:>7.2f} {figures.ratio_p99:>7.2f} {figures.asked_again:>6}"
    )


def main() -> None:
    heading = (
        "A write's answer through the Admin API in ms, without and with a fence on all members\n"
        "nodes  writes  complete  without:      p99    fenced:      p99   ratio     p99  again"
    )
    run("fence", heading, measure, report, about=__doc__, sizes="3,20", writes="of each kind")


if __name__ == "__main__":
    main()
