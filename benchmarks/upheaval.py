"""What changes of every kind cost the clients: reloads, restarts, killed workers, changed routes.

Three nodes stand behind two of Debian's nginx with deploy/nginx.conf: one as it is (HTTP/1.0, a new
connection per request), one that keeps its connections. Clients GET and POST through both, over
kept connections and over new ones. For a minute, routes are changed without pause, and round after
round a node is reloaded with another number of workers, one loses a worker to kill -9, and one is
restarted. Counted: requests that failed, those apart that were in flight on a killed worker.

    python -m benchmarks.upheaval [--seconds 60] [--changes 1000] [--clients 4] [--base-port PORT]
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

from node.demo.cluster import LocalCluster
from node.demo.ports import HOST, choose_base
from tests.deploy.balancer import Balancer, free_port
from tests.deploy.upheaval import Outcome, upheaval
from tests.deploy.upstream import Upstream

NODES = 3


async def measure(seconds: float, changes: int, clients: int, base_port: int | None) -> Outcome:
    """Run it, and print what came of it."""
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as home:
        upstream = Upstream()
        cluster = LocalCluster(
            Path(home), NODES, choose_base(NODES, base_port), {"trusted_ips": f"{HOST}/32"}
        )
        ports = [node.ports.proxy for node in cluster.nodes]
        keeping = Balancer(Path(home) / "keeping", free_port(), ports, keepalive=True)
        renewing = Balancer(Path(home) / "renewing", free_port(), ports)
        try:
            await upstream.start()
            await cluster.bootstrap()
            await cluster.start()
            await asyncio.gather(keeping.start(), renewing.start())
            admin = cluster.nodes[0].admin_url
            service = {"name": "upstream", "url": f"http://{HOST}:{upstream.port}"}
            await cluster.post_json(f"{admin}/services", service)
            route = {"name": "asked", "paths": ["/"]}
            await cluster.post_json(f"{admin}/services/upstream/routes", route)
            await cluster.until_revision("1.2")
            began = time.monotonic()
            async with upheaval(cluster, keeping.url, renewing.url, clients) as going_on:
                changing = asyncio.create_task(going_on.change_routes(changes, seconds))
                rounds = 0
                while time.monotonic() - began < seconds or not rounds:
                    await going_on.round(rounds)
                    rounds += 1
                await changing
            took = time.monotonic() - began
        finally:
            await asyncio.gather(keeping.stop(), renewing.stop())
            await cluster.stop()
            await upstream.stop()
        outcome = going_on.outcome
        absorbed = (keeping.errors() + renewing.errors()).count("[error]")
    print(outcome.table())
    print(f"{absorbed:>8}  times that nginx found a node gone, and mostly asked another one")
    print(f"{took:>8.0f}  seconds; load of the machine {os.getloadavg()[0]:.1f}")
    figures = {
        "requests": outcome.answered + outcome.failures.total() + outcome.in_flight.total(),
        "failed": outcome.failures.total(),
        "in_flight_on_killed": outcome.in_flight.total(),
        "seconds": round(took, 1),
        **{name.replace(" ", "_"): count for name, count in outcome.done.items()},
    }
    print(json.dumps({"benchmark": "upheaval", **figures}))
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    options = parser.parse_args()
    outcome = asyncio.run(
        measure(options.seconds, options.changes, options.clients, options.base_port)
    )
    raise SystemExit(1 if outcome.failures else 0)


if __name__ == "__main__":
    main()
