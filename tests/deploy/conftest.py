"""Nodes behind Debian's nginx."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.demo.cluster import LocalCluster
from tests.deploy.balancer import HOST, Balancer, free_port
from tests.deploy.upstream import Upstream
from tests.system.conftest import free_base
from tests.system.conftest import start_cluster as start_cluster
from tests.system.waiting import until

NODES = 3
BODY_MIB_MAX = 200


@dataclass(frozen=True, slots=True)
class Balanced:
    """A cluster, the balancer before it and the upstream behind it."""

    cluster: LocalCluster
    balancer: Balancer
    upstream: Upstream


@contextlib.asynccontextmanager
async def balanced_cluster(home: Path) -> AsyncIterator[Balanced]:
    """Three nodes that trust nginx, and a route ``/`` to the upstream that all of them serve; at
    the end the ends of all logs are printed."""
    settings = {
        "trusted_ips": f"{HOST}/32",
        "nginx_http_client_max_body_size": f"{BODY_MIB_MAX}m",
        "proxy_access_log": "logs/access.log",
    }
    upstream = Upstream()
    cluster = LocalCluster(home, NODES, free_base(NODES), settings)
    balancer = Balancer(home / "nginx", free_port(), [node.ports.proxy for node in cluster.nodes])
    try:
        await upstream.start()
        await cluster.bootstrap()
        await cluster.start()
        await balancer.start()
        admin = cluster.nodes[0].admin_url
        service = {"name": "upstream", "url": f"http://{HOST}:{upstream.port}"}
        await cluster.post_json(f"{admin}/services", service)
        await cluster.post_json(
            f"{admin}/services/upstream/routes", {"name": "asked", "paths": ["/"]}
        )

        async def served() -> bool:
            for node in cluster.nodes:
                async with cluster.session.get(node.proxy_url) as response:
                    if response.status != 200:
                        return False
            return True

        await until(served, "every node serves the route")
        yield Balanced(cluster, balancer, upstream)
    finally:
        print(f"--- nginx\n{balancer.errors()}")
        await balancer.stop()
        await cluster.stop()
        await upstream.stop()
        for node in cluster.nodes:
            print(f"--- {node.name}\n{node.log_tail(60)}")


@pytest.fixture
async def balanced(tmp_path: Path) -> AsyncIterator[Balanced]:
    """One of the test's own."""
    async with balanced_cluster(tmp_path) as own:
        yield own
