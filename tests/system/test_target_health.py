"""The health of targets in a cluster of real processes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from node.demo.cluster import LocalCluster, LocalNode
from tests.system.conftest import StartCluster
from tests.system.waiting import until

EVERY = 0.1
"""Seconds between probes."""


class Backend:
    """A target that counts its probes and answers as it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.probes = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/alive", self._probed)
        app.router.add_get("/", self._served)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port: int = self._runner.addresses[0][1]
        self.target = f"127.0.0.1:{self.port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _probed(self, request: web.Request) -> web.Response:
        self.probes += 1
        return web.Response(status=self.status)

    async def _served(self, request: web.Request) -> web.Response:
        return web.Response(status=self.status, text=self.target)


@pytest.fixture
async def backends() -> AsyncIterator[list[Backend]]:
    made = [Backend(), Backend()]
    for one in made:
        await one.start()
    yield made
    for one in made:
        await one.stop()


async def send(
    cluster: LocalCluster, node: LocalNode, method: str, path: str, body: Any = None
) -> int:
    async with cluster.session.request(method, f"{node.admin_url}{path}", json=body) as response:
        await response.read()
        return response.status


async def make_upstream(
    cluster: LocalCluster, backends: list[Backend], checks: dict[str, Any]
) -> None:
    """An upstream ``u`` with these targets, known to every node."""
    first = cluster.nodes[0]
    upstream = {"name": "u", "healthchecks": checks}
    assert await send(cluster, first, "POST", "/upstreams?fence=all", upstream) == 201
    for one in backends:
        target = {"target": one.target}
        assert await send(cluster, first, "POST", "/upstreams/u/targets?fence=all", target) == 201


async def healths(cluster: LocalCluster, node: LocalNode) -> dict[str, str]:
    answer = await cluster.get_json(f"{node.admin_url}/upstreams/u/health")
    assert answer["node_id"]
    return {one["target"]: one["health"] for one in answer["data"]}


async def until_health(cluster: LocalCluster, backend: Backend, health: str) -> None:
    for node in cluster.nodes:

        async def has_it(node: LocalNode = node) -> bool:
            return (await healths(cluster, node))[backend.target] == health

        await until(has_it, f"{node.name} takes {backend.target} for {health}")


PROBED = {
    "active": {
        "http_path": "/alive",
        "healthy": {"interval": EVERY, "successes": 2},
        "unhealthy": {"interval": EVERY, "http_failures": 2, "tcp_failures": 2},
    }
}
SERVED = {"passive": {"unhealthy": {"http_failures": 3, "tcp_failures": 1}}}


async def test_what_is_set_by_hand_on_one_node_holds_on_all_and_after_restarts(
    start_cluster: StartCluster, backends: list[Backend]
) -> None:
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    await make_upstream(cluster, backends, SERVED)
    await until_health(cluster, backends[0], "HEALTHY")
    path = f"/upstreams/u/targets/{backends[0].target}"
    assert await send(cluster, second, "PUT", f"{path}/unhealthy") == 204
    await until_health(cluster, backends[0], "UNHEALTHY")
    await until_health(cluster, backends[1], "HEALTHY")
    await first.stop()
    await first.start()
    await first.until_ready(cluster.session)
    await until_health(cluster, backends[0], "UNHEALTHY")
    assert await send(cluster, first, "POST", f"{path}/healthy") == 204
    await until_health(cluster, backends[0], "HEALTHY")


async def test_probes_take_a_target_out_on_every_node_and_bring_it_back(
    start_cluster: StartCluster, backends: list[Backend]
) -> None:
    cluster = await start_cluster(3)
    await make_upstream(cluster, backends, PROBED)
    backends[0].status = 500
    await until_health(cluster, backends[0], "UNHEALTHY")
    await until_health(cluster, backends[1], "HEALTHY")
    backends[0].status = 200
    await until_health(cluster, backends[0], "HEALTHY")


@pytest.mark.long
async def test_two_of_four_nodes_probe_a_target_for_all(
    start_cluster: StartCluster, backends: list[Backend]
) -> None:
    cluster = await start_cluster(4)
    backend = backends[0]
    await make_upstream(cluster, [backend], PROBED)

    async def two_probe() -> bool:
        before = [await probes(cluster, node) for node in cluster.nodes]
        seen = backend.probes

        async def more() -> bool:
            return backend.probes >= seen + 20

        await until(more, "the target is probed")
        after = [await probes(cluster, node) for node in cluster.nodes]
        return sum(later > once for once, later in zip(before, after, strict=True)) == 2

    await until(two_probe, "two nodes probe")


async def probes(cluster: LocalCluster, node: LocalNode) -> int:
    async with cluster.session.get(f"{node.admin_url}/metrics") as response:
        text = await response.text()
    for line in text.splitlines():
        if line.startswith("grapevine_target_probes_total "):
            return int(float(line.split()[1]))
    raise AssertionError("no such metric")


async def make_route(cluster: LocalCluster) -> None:
    first = cluster.nodes[0]
    service = {"name": "s", "host": "u", "retries": 0}
    assert await send(cluster, first, "POST", "/services", service) == 201
    route = {"name": "r", "paths": ["/"]}
    assert await send(cluster, first, "POST", "/services/s/routes?fence=all", route) == 201


async def served_by(cluster: LocalCluster, node: LocalNode) -> tuple[int, str]:
    async with cluster.session.get(node.proxy_url + "/") as response:
        return response.status, await response.text()


async def test_requests_take_a_target_out_and_a_setting_by_hand_brings_it_back(
    start_cluster: StartCluster, backends: list[Backend]
) -> None:
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    await make_upstream(cluster, backends, SERVED)
    await make_route(cluster)
    bad, good = backends
    bad.status = 500

    async def is_out() -> bool:
        await served_by(cluster, first)
        return (await healths(cluster, first))[bad.target] == "UNHEALTHY"

    await until(is_out, "requests have found it unhealthy")
    assert [await served_by(cluster, first) for _ in range(6)] == [(200, good.target)] * 6
    assert (await healths(cluster, second))[bad.target] == "HEALTHY"
    # The other node has heard of it: of its three failures one is enough there.
    answers = [await served_by(cluster, second) for _ in range(6)]
    assert [status for status, _ in answers].count(500) == 1
    await until_health(cluster, bad, "UNHEALTHY")
    bad.status = 200
    path = f"/upstreams/u/targets/{bad.target}/healthy"
    assert await send(cluster, second, "PUT", path) == 204
    await until_health(cluster, bad, "HEALTHY")
    for node in cluster.nodes:

        async def both(node: LocalNode = node) -> bool:
            answers = {await served_by(cluster, node) for _ in range(4)}
            return answers == {(200, bad.target), (200, good.target)}

        await until(both, f"{node.name} uses both targets")


async def test_what_probes_found_keeps_requests_away(
    start_cluster: StartCluster, backends: list[Backend]
) -> None:
    cluster = await start_cluster(1)
    await make_upstream(cluster, backends, PROBED)
    await make_route(cluster)
    (node,) = cluster.nodes
    await backends[0].stop()
    await until_health(cluster, backends[0], "UNHEALTHY")
    answers = [await served_by(cluster, node) for _ in range(10)]
    assert answers == [(200, backends[1].target)] * 10
    await backends[1].stop()
    await until_health(cluster, backends[1], "UNHEALTHY")
    status, text = await served_by(cluster, node)
    assert status == 503
    assert "failure to get a peer from the ring-balancer" in text
