"""A burst of writes: how soon every node has the last of them, and whether anything is lost.

Real processes on this machine, one worker each (``--workers 0``: agents alone). Each round creates
routes as fast as a number of kept connections can, at one node and then spread over several; what
is timed begins with the last write's answer. How it is observed: each node notes by itself since
when all its workers serve a version (``live_at`` of GET /cluster/revision, by the one clock of this
machine), and is asked half a second after the burst, so that asking doesn't slow down what is
measured. A node's note is late by its worker's word for it, on the channel between them, and by
what waits in its event loop; it is never early. The client is a process of this machine, too: its
share of a core is told.

At the end the nodes are stopped, and what each has on its disk is compared with the authority.

    python -m benchmarks.burst [--nodes 20] [--writes 1000] [--rounds 3] [--writers 5]
        [--clients 32] [--workers 1] [--database sqlite|postgres] [--base-port PORT]
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.clusters import cluster_of
from benchmarks.databases import DATABASES, database
from benchmarks.idle import descendants, processor_seconds
from benchmarks.kept_connection import KeptConnection
from benchmarks.outcome import differences
from node.demo.cluster import LocalCluster
from node.demo.ports import HOST

SETTLE_SECONDS = 0.5
"""After a burst, before the first node is asked."""
ASK_SECONDS = 0.25
ROUND_SECONDS_MAX = 60.0

TELLING = (
    "pushes",
    "announcements",
    "news_told",
    "changesets_early",
    "changesets_early_dropped",
    "changesets_known",
    "repairs_requested",
    "pulls",
    "behind",
    "snapshots_asked",
    "stalls",
    "suspicions",
    "datagrams_out",
    "datagrams_congested",
    "datagrams_unsent",
)
"""Counters of the nodes that are told, summed over all of them."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one burst gave; times in milliseconds from the last write's answer."""

    write_seconds: float
    writes_per_second: float
    write_p50: float
    arrivals: list[float]
    """Of each node, those that took writes included; below 0 if before the answer."""
    counted: dict[str, int]
    node_cpu_ms: float
    """Processor time per node and write."""
    client_cores: float
    failures: Counter[int]
    """Answers other than 201, by status."""


class Burst:
    """A cluster under test, and the connections to its Admin APIs."""

    def __init__(self, cluster: LocalCluster, clients: int) -> None:
        self._cluster = cluster
        self._clients = clients
        self._own = [KeptConnection(node.ports.admin) for node in cluster.nodes]
        self._turn = 0

    async def run(self, writers: int, writes: int) -> Round:
        """One burst over the first ``writers`` nodes."""
        self._turn += 1
        before, cpu_before = await self._counters(), self._processor_seconds()
        client_before = time.process_time()
        names = iter([f"{self._turn}-{number}" for number in range(writes)])
        took: list[float] = []
        failures: Counter[int] = Counter()
        reached = ""
        last = 0.0

        async def client(port: int) -> None:
            nonlocal reached, last
            connection = KeptConnection(port)
            for name in names:
                began = time.perf_counter()
                answer = await connection.request(
                    "POST", "/services/bench/routes", {"name": name, "paths": [f"/{name}"]}
                )
                last = time.time()
                took.append(time.perf_counter() - began)
                if answer.status != 201:
                    failures[answer.status] += 1
                reached = max(reached, _revision(answer.head), key=_order)
            connection.close()

        ports = [node.ports.admin for node in self._cluster.nodes[:writers]]
        began = time.time()
        await asyncio.gather(
            *(client(ports[number % writers]) for number in range(max(self._clients, writers)))
        )
        client_seconds = time.process_time() - client_before
        live_at = await self._until_live(reached)
        after, cpu_after = await self._counters(), self._processor_seconds()
        return Round(
            write_seconds=last - began,
            writes_per_second=writes / (last - began),
            write_p50=1000 * statistics.median(took),
            arrivals=[1000 * (at - last) for at in live_at],
            counted={name: after[name] - before[name] for name in TELLING},
            node_cpu_ms=1000 * (cpu_after - cpu_before) / writes / len(self._own),
            client_cores=client_seconds / (last - began),
            failures=failures,
        )

    def close(self) -> None:
        for connection in self._own:
            connection.close()

    async def _until_live(self, wanted: str) -> list[float]:
        """When each node's workers had come to a revision, as the node has noted it."""
        await asyncio.sleep(SETTLE_SECONDS)

        async def one(connection: KeptConnection) -> float:
            while True:
                told = (await connection.request("GET", "/cluster/revision")).json()
                if told["live"] is not None and _order(told["live"]) >= _order(wanted):
                    return float(told["live_at"])
                await asyncio.sleep(ASK_SECONDS)

        async with asyncio.timeout(ROUND_SECONDS_MAX):
            return list(await asyncio.gather(*map(one, self._own)))

    async def _counters(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for connection in self._own:
            status = (await connection.request("GET", "/status")).json()
            total.update(status["cluster"]["counters"])
        return total

    def _processor_seconds(self) -> float:
        pids = [node.process.pid for node in self._cluster.nodes if node.process is not None]
        return sum(processor_seconds(child) for pid in pids for child in descendants(pid))


def _order(revision: str) -> tuple[int, ...]:
    return tuple(map(int, revision.split("."))) if revision else ()


def _revision(head: bytes) -> str:
    for line in head.split(b"\r\n"):
        if line.startswith(b"grapevine-revision:"):
            return line.partition(b":")[2].strip().decode()
    return ""


def spread(values: list[float], digits: int = 0) -> str:
    """The median and the range."""
    return (
        f"{statistics.median(values):.{digits}f}"
        f" ({min(values):.{digits}f}-{max(values):.{digits}f})"
    )


def report(name: str, rounds: list[Round]) -> dict[str, Any]:
    """Print one row of the table and the counters; answers them for the JSON line."""
    all_live = [max(one.arrivals) for one in rounds]
    median_live = [statistics.median(one.arrivals) for one in rounds]
    rates = [one.writes_per_second for one in rounds]
    counted = {key: [one.counted[key] for one in rounds] for key in TELLING}
    print(
        f"{name:<12} {spread(rates):>17} {spread([one.write_p50 for one in rounds]):>17}"
        f" {spread(median_live):>17} {spread(all_live):>20}"
        f" {spread([one.node_cpu_ms for one in rounds], 2):>17}"
        f" {statistics.median(one.client_cores for one in rounds):>7.2f}"
    )
    shown = [f"{key} {statistics.median(values):g}" for key, values in counted.items()]
    print("    " + ", ".join(shown))
    failures: Counter[int] = sum((one.failures for one in rounds), Counter())
    for status, count in failures.items():
        print(f"    {count} writes were answered with {status}")
    return {
        "writes_per_second": [round(rate, 1) for rate in rates],
        "node_median_ms": [round(value, 1) for value in median_live],
        "all_nodes_ms": [round(value, 1) for value in all_live],
        "all_nodes_ms_p50": round(statistics.median(all_live), 1),
        "node_cpu_ms_per_write": [round(one.node_cpu_ms, 3) for one in rounds],
        "counters": counted,
        "failures": sum(failures.values()),
    }


async def _bursts(cluster: LocalCluster, options: argparse.Namespace) -> dict[str, Any]:
    """The rounds, at one node and at several; prints the table."""
    service = {"name": "bench", "url": f"http://{HOST}:9"}
    await cluster.post_json(f"{cluster.nodes[0].admin_url}/services", service)
    burst = Burst(cluster, options.clients)
    found: dict[str, Any] = {}
    try:
        # Connections are opened and caches filled in one that isn't counted.
        await burst.run(options.nodes, min(options.writes, 10 * options.nodes))
        print(
            f"{options.nodes} nodes, {options.workers} workers each, {options.database},"
            f" {options.writes} writes, {options.clients} connections, {options.rounds}"
            " rounds: median (range); live: ms after the last write's answer"
        )
        print(
            "written at            writes/s      write p50 ms      median node live"
            "       every node live   CPU ms/node/write  client"
        )
        spread_over = min(options.writers, options.nodes)
        for name, writers in (("one node", 1), (f"{spread_over} nodes", spread_over)):
            rounds = [await burst.run(writers, options.writes) for _ in range(options.rounds)]
            found[name.replace(" ", "_")] = report(name, rounds)
    finally:
        burst.close()
    return found


async def measure(options: argparse.Namespace) -> bool:
    """Run a cluster through the bursts and print what came of them; False if anything was lost."""
    settings = {"proxy_listen": "off"} if options.workers == 0 else {}
    settings["nginx_worker_processes"] = str(max(1, options.workers))
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as home:
        async with database(options.database, Path(home)) as authority:
            settings = {**authority.settings, **settings}
            loads = [os.getloadavg()[0]]
            async with cluster_of(
                options.nodes, Path(home), options.base_port, settings
            ) as cluster:
                found = await _bursts(cluster, options)
                loads.append(os.getloadavg()[0])
            lost = await differences(cluster)
    for line in lost:
        print(f"LOST  {line}")
    if not lost:
        print("every node's state is the authority's")
    print(f"load average before, and after with this benchmark: {loads[0]:.1f}, {loads[1]:.1f}")
    fields = {
        name: getattr(options, name)
        for name in ("database", "nodes", "workers", "writes", "clients")
    }
    whole = {"benchmark": "burst", **fields, **found, "lost": lost, "loads": loads}
    print(json.dumps(whole))
    return not lost


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--writes", type=int, default=1000, help="in each burst")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writers", type=int, default=5, help="nodes that writes are spread over")
    parser.add_argument("--clients", type=int, default=32, help="connections of the client")
    parser.add_argument("--workers", type=int, default=1, help="of each node; 0: agents alone")
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    if not uvloop.run(measure(parser.parse_args())):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
