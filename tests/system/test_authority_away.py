"""The authority goes away under load, and comes back (DESIGN P5 and section 10)."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.local_postgres import LocalPostgres, settings_for
from node.demo.upstream import SampleUpstream
from tests.postgres_server import PostgresDatabases, running_server
from tests.system.conftest import StartCluster
from tests.system.load import load
from tests.system.waiting import until


@pytest.fixture
def postgres() -> Iterator[LocalPostgres]:
    """A server of the test's own, to be stopped."""
    with running_server() as server:
        yield server


async def post(cluster: LocalCluster, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with cluster.session.post(url, json=body) as response:
        return response.status, await response.json()


async def add_sample(cluster: LocalCluster, upstream: SampleUpstream) -> None:
    first = cluster.nodes[0].admin_url
    url = f"http://127.0.0.1:{upstream.port}"
    await cluster.post_json(f"{first}/services", {"name": "sample", "url": url})
    await cluster.post_json(f"{first}/services/sample/routes", {"name": "s", "paths": ["/s"]})


async def serves(cluster: LocalCluster, node: LocalNode, path: str) -> bool:
    async with cluster.session.get(f"{node.proxy_url}{path}") as response:
        return response.status == 200


async def until_serves(cluster: LocalCluster, node: LocalNode, path: str) -> None:
    await until(lambda: serves(cluster, node, path), f"{node.name} serves {path}")


async def test_with_postgres_down_nodes_serve_restart_and_join_and_writes_wait(
    postgres: LocalPostgres, start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    databases = PostgresDatabases(postgres.address())
    address = await databases.create()
    cluster = await start_cluster(3, {**settings_for(address), "pg_timeout": "2000"}, spare=1)
    await add_sample(cluster, upstream)
    first, second, third = cluster.nodes
    for node in cluster.nodes:
        await until_serves(cluster, node, "/s")
    newcomer = cluster.add_node({"cluster_seeds": f"127.0.0.1:{first.ports.gossip}"})

    async with load([first.ports.proxy, second.ports.proxy], "/s") as result:
        postgres.stop()
        status, answer = await post(cluster, f"{first.admin_url}/services", {"host": "a.test"})
        assert status == 503
        assert "postgres" in answer["message"].lower() or "connect" in answer["message"].lower()
        listed = await cluster.get_json(f"{first.admin_url}/services")
        assert [service["name"] for service in listed["data"]] == ["sample"]

        assert await third.stop() == 0
        await third.start()
        await third.until_ready(cluster.session)
        assert await serves(cluster, third, "/s"), "a node restarted with Postgres down serves"

        await newcomer.start()
        await newcomer.until_ready(cluster.session)
        assert await serves(cluster, newcomer, "/s"), "a brand-new node serves with Postgres down"

        postgres.start()

        async def is_written() -> bool:
            route = {"name": "back", "paths": ["/back"]}
            url = f"{second.admin_url}/services/sample/routes"
            return (await post(cluster, url, route))[0] in (201, 409)

        await until(is_written, "writes go on by themselves")
        for node in (*cluster.nodes, newcomer):
            await until_serves(cluster, node, "/back")
    assert result.failures == {}
    assert result.outcomes["200"] > 100


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Where connections are taken and nothing is ever answered, as by a machine that hangs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


async def test_a_database_that_is_silent_holds_nobody_up_who_has_peers(
    start_cluster: StartCluster, upstream: SampleUpstream, silent_port: int
) -> None:
    cluster = await start_cluster(1, spare=1)
    await add_sample(cluster, upstream)
    await until_serves(cluster, cluster.nodes[0], "/s")
    silent = {"database": "postgres", "pg_host": "127.0.0.1", "pg_port": str(silent_port)}
    patient = {"pg_timeout": f"{4 * LocalNode.start_seconds * 1000:.0f}"}
    seed = f"127.0.0.1:{cluster.nodes[0].ports.gossip}"
    node = cluster.add_node({**silent, **patient, "cluster_seeds": seed})

    await node.start()
    await node.until_ready(cluster.session)
    assert await serves(cluster, node, "/s"), "a brand-new node doesn't wait for its answer"
    status, answer = await post(cluster, f"{node.admin_url}/services", {"host": "a.test"})
    assert status == 503, answer

    assert await node.stop() == 0, "nor does one that ends"
    await node.start()
    await node.until_ready(cluster.session)
    assert await serves(cluster, node, "/s"), "nor one that starts again"


async def test_two_nodes_writing_at_once_lose_nothing(
    postgres: LocalPostgres, start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    address = await PostgresDatabases(postgres.address()).create()
    cluster = await start_cluster(2, settings_for(address))
    await add_sample(cluster, upstream)

    async def write(node: LocalNode, number: int) -> None:
        name = f"{node.name}-{number}"
        await cluster.post_json(
            f"{node.admin_url}/services/sample/routes", {"name": name, "paths": [f"/{name}"]}
        )

    await asyncio.gather(*(write(node, number) for node in cluster.nodes for number in range(40)))
    await cluster.until_revision("1.82")  # a service and 81 routes
    for node in cluster.nodes:
        for writer in cluster.nodes:
            for number in range(40):
                assert await serves(cluster, node, f"/{writer.name}-{number}")
