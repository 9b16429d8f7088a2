"""What a restart costs the clients: one of three nodes stops and starts under load behind nginx.

Debian's nginx stands in front with deploy/nginx.conf (HTTP/1.0, a new connection per request);
eight clients GET and POST through it without pause. Each round stops one node (TERM: leave, drain,
exit) and starts it again. Counted: requests that failed in any way; seconds from the stop until the
node's /status/ready is 200 again. The yardstick, in the same round, is an interpreter that imports
what a node imports, and ends.

    python -m benchmarks.restart [--rounds 20] [--base-port PORT]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from node.demo.cluster import LocalCluster
from node.demo.ports import HOST, choose_base
from tests.deploy.balancer import Balancer, free_port
from tests.deploy.load import Load
from tests.deploy.upstream import Upstream

NODES = 3
CLIENTS = 8
REQUESTS_AROUND = 300
"""Requests answered before each restart and after it."""


def warm_import_seconds() -> float:
    """The same once its modules lie compiled."""
    import_seconds()
    return import_seconds()


def import_seconds() -> float:
    """How long an interpreter takes for the imports of a node alone."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-P", "-c", "import node.agent.run"], check=True)
    return time.monotonic() - began


async def measure(rounds: int, base_port: int | None) -> None:
    """Run the rounds and print what came of them."""
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as home:
        upstream = Upstream()
        cluster = LocalCluster(
            Path(home), NODES, choose_base(NODES, base_port), {"trusted_ips": f"{HOST}/32"}
        )
        ports = [node.ports.proxy for node in cluster.nodes]
        balancer = Balancer(Path(home) / "nginx", free_port(), ports)
        try:
            await upstream.start()
            await cluster.bootstrap()
            await cluster.start()
            await balancer.start()
            admin = cluster.nodes[0].admin_url
            service = {"name": "upstream", "url": f"http://{HOST}:{upstream.port}"}
            await cluster.post_json(f"{admin}/services", service)
            await cluster.post_json(f"{admin}/services/upstream/routes", {"paths": ["/"]})
            await cluster.until_revision("1.2")
            await _rounds(cluster, balancer, rounds)
        finally:
            await balancer.stop()
            await cluster.stop()
            await upstream.stop()


async def _rounds(cluster: LocalCluster, balancer: Balancer, rounds: int) -> None:
    ready: list[float] = []
    imports: list[float] = []
    async with Load(balancer.url, CLIENTS) as load:
        for number in range(rounds):
            node = cluster.nodes[number % NODES]
            await load.until_answered(REQUESTS_AROUND)
            began = time.monotonic()
            await node.stop()
            await node.start()
            await node.until_ready(cluster.session)
            ready.append(time.monotonic() - began)
            await load.until_answered(REQUESTS_AROUND)
            imports.append(await asyncio.to_thread(import_seconds))
    failed = load.failures.total()
    print("rounds   requests   failed   ready p50 s   ready max s   imports p50 s   ratio")
    median, floor = statistics.median(ready), statistics.median(imports)
    print(
        f"{rounds:>6} {load.answered + failed:>10} {failed:>8} {median:>13.2f} {max(ready):>13.2f}"
        f" {floor:>15.2f} {median / floor:>7.2f}"
    )
    for failure, count in load.failures.items():
        print(f"{count} x {failure}")
    if failed:
        print(balancer.errors())
    figures = {
        "rounds": rounds,
        "requests": load.answered + failed,
        "failed": failed,
        "ready_p50": round(median, 3),
        "ready_max": round(max(ready), 3),
    }
    print(json.dumps({"benchmark": "restart", **figures}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    options = parser.parse_args()
    asyncio.run(measure(options.rounds, options.base_port))


if __name__ == "__main__":
    main()
