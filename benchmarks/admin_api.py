"""What the Admin API takes to answer: lists of many routes, GET /, single writes by ten clients.

Real nodes on this machine, one worker each, asked over kept connections; what the client itself
takes (a process of this machine, too) is in the figures, but for decoding; beside the median stands
the node's processor time for a question. A list is of 1,000
routes: the first page, and one that begins nine tenths of the way, without a filter, of a tag that
every route has, and of one that a hundredth has. The yardstick is GET /status/ready, which reads
nothing. Writes are POSTs of services by ten clients, each without a pause, at one node and then
spread over three; errors are all answers but 201.

    python -m benchmarks.admin_api [--short] [--routes 100000] [--seconds 5] [--clients 10]
        [--databases postgres,sqlite] [--base-port PORT]
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.clusters import cluster_of
from benchmarks.databases import Database, database
from benchmarks.idle import descendants, processor_seconds
from benchmarks.kept_connection import KeptConnection
from node.agent.authorities import make_authority
from node.config.load import load
from node.demo.cluster import LocalCluster, LocalNode
from store.authority import Create, Mutation

PAGE = 1_000
FILL = 1_000
"""Routes of one write while the database is filled."""
EVERY, ONE_IN = "every", 100
"""A tag of every route, and how many routes there are to one with a tag of its own hundredth."""
ASKED = 20
"""Times that each question is asked; the median is told."""

Figures = dict[str, Any]


def _routes(numbers: range) -> Iterator[Mutation]:
    for number in numbers:
        fields = {"name": f"route-{number}", "paths": [f"/{number}"]}
        yield Create("routes", {**fields, "tags": [EVERY, f"team-{number % ONE_IN}"]})


async def fill(cluster: LocalCluster, routes: int) -> None:
    """Make routes, past the nodes."""
    authority = make_authority(load(str(cluster.nodes[0].conf), {}, {}))
    await authority.open()
    try:
        for first in range(0, routes, FILL):
            numbers = range(first, min(first + FILL, routes))
            await authority.write(tuple(_routes(numbers)), origin="benchmark")
    finally:
        await authority.close()


async def asked(node: LocalNode, path: str) -> tuple[float, float]:
    """The median of what a question takes, and what the node's processor does for it, in
    milliseconds: the machine may be busy with others."""
    took = []
    connection = KeptConnection(node.ports.admin)
    before = _processor([node])
    for _ in range(ASKED):
        began = time.perf_counter()
        answer = await connection.request("GET", path)
        took.append(1000 * (time.perf_counter() - began))
        assert answer.status == 200, answer
    connection.close()
    processor = 1000 * (_processor([node]) - before) / ASKED
    return round(statistics.median(took), 2), round(processor, 1)


async def _offset(node: LocalNode, query: str, routes: int) -> str:
    """Of a page that begins after nine tenths of the list."""
    connection = KeptConnection(node.ports.admin)
    offset = ""
    for _ in range(max(routes * 9 // 10 // PAGE, 1)):
        after = f"&offset={offset}" if offset else ""
        answer = await connection.request("GET", f"/routes?size={PAGE}{query}{after}")
        offset = answer.json().get("offset", offset)
    connection.close()
    return offset


async def measure_lists(node: LocalNode, routes: int) -> Figures:
    """What pages of a list take."""
    figures: Figures = {}
    for name, query, listed in (
        ("all", "", routes),
        ("every_tag", f"&tags={EVERY}", routes),
        ("one_tag", "&tags=team-7", routes // ONE_IN),
        ("two_tags", f"&tags={EVERY},team-7", routes // ONE_IN),
    ):
        path = f"/routes?size={PAGE}{query}"
        figures[f"{name}_first"] = await asked(node, path)
        if listed > PAGE:
            offset = await _offset(node, query, routes)
            figures[f"{name}_deep"] = await asked(node, f"{path}&offset={offset}")
    return figures


async def quiet(node: LocalNode) -> None:
    """Return once the node has had little to do for a while: what was written it keeps on its disk,
    piece by piece."""
    in_a_row = 0
    for _ in range(120):
        before = _processor([node])
        await asyncio.sleep(0.5)
        in_a_row = in_a_row + 1 if _processor([node]) - before < 0.05 else 0
        if in_a_row == 6:
            return


async def measure_root(node: LocalNode) -> Figures:
    return {"root": await asked(node, "/"), "ready": await asked(node, "/status/ready")}


async def measure_writes(cluster: LocalCluster, clients: int, seconds: float) -> Figures:
    """What single writes come to, by clients that are spread over the nodes."""
    took: list[float] = []
    errors: Counter[str] = Counter()
    before = _processor(cluster.nodes), time.process_time()
    end = time.perf_counter() + seconds

    async def write(client: int) -> None:
        node = cluster.nodes[client % len(cluster.nodes)]
        connection = KeptConnection(node.ports.admin)
        number = 0
        while (began := time.perf_counter()) < end:
            number += 1
            fields = {"name": f"{len(cluster.nodes)}-{client}-{number}", "host": "bench.test"}
            try:
                answer = await connection.request("POST", "/services", fields)
            except (OSError, EOFError, ValueError) as error:
                errors[type(error).__name__] += 1
                connection.close()
                continue
            if answer.status == 201:
                took.append(1000 * (time.perf_counter() - began))
            else:
                errors[f"{answer.status} {answer.body[:80]!r}"] += 1
        connection.close()

    await asyncio.gather(*(write(client) for client in range(clients)))
    took.sort()
    return {
        "nodes": len(cluster.nodes),
        "writes_per_second": round(len(took) / seconds, 1),
        "p50_ms": round(took[len(took) // 2], 2),
        "p99_ms": round(took[len(took) * 99 // 100], 2),
        "errors": dict(errors),
        "nodes_cores": round((_processor(cluster.nodes) - before[0]) / seconds, 2),
        "client_cores": round((time.process_time() - before[1]) / seconds, 2),
    }


def _processor(nodes: Sequence[LocalNode]) -> float:
    """Processor seconds of nodes, their workers included."""
    tops = [node.process.pid for node in nodes if node.process is not None]
    return sum(processor_seconds(pid) for top in tops for pid in descendants(top))


async def measure_reads(held: Database, home: Path, options: argparse.Namespace) -> Figures:
    async with cluster_of(1, home, options.base_port, held.settings) as cluster:
        empty = await measure_root(cluster.nodes[0])
        await fill(cluster, options.routes)
        await cluster.until_revision(f"1.{-(-options.routes // FILL)}", seconds=120.0)
        await quiet(cluster.nodes[0])
        full = await measure_root(cluster.nodes[0])
        lists = await measure_lists(cluster.nodes[0], options.routes)
    return {"empty": empty, "full": full, "lists": lists}


async def measure(kind: str, options: argparse.Namespace) -> None:
    figures: Figures = {"benchmark": "admin_api", "database": kind, "routes": options.routes}
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as folder:
        home = Path(folder)
        async with database(kind, home) as held:
            figures |= await measure_reads(held, home, options)
    print(f"{kind}: GET / and /status/ready with 0 routes {figures['empty']}")
    print(f"{kind}: the same with {options.routes:,} routes {figures['full']}")
    for name, value in figures["lists"].items():
        print(
            f"{kind}: {PAGE:,} of {options.routes:,} routes, {name:<16}"
            f" {value[0]:>8} ms, {value[1]:g} ms of a processor"
        )
    writes = figures["writes"] = []
    for nodes in (1, 3):
        with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as folder:
            home = Path(folder)
            async with (
                database(kind, home) as held,
                cluster_of(nodes, home, options.base_port, held.settings) as cluster,
            ):
                writes.append(await measure_writes(cluster, options.clients, options.seconds))
        print(f"{kind}: {options.clients} clients {writes[-1]}")
    print(json.dumps(figures | {"load": os.getloadavg()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="few routes, two seconds of writes")
    parser.add_argument("--routes", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--databases", default="postgres,sqlite")
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    options = parser.parse_args()
    options.routes = options.routes or (5_000 if options.short else 100_000)
    options.seconds = options.seconds or (2.0 if options.short else 5.0)
    for kind in options.databases.split(","):
        uvloop.run(measure(kind, options))


if __name__ == "__main__":
    main()
