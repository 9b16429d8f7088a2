"""kill -9 under load: of a whole node, of its supervisor alone, of a worker alone."""

import os
import signal

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.upstream import SampleUpstream
from tests.system.conftest import StartCluster
from tests.system.load import Load, load
from tests.system.test_cluster import add_route, add_service, is_running, until_status, worker_pids
from tests.system.waiting import until

CLIENTS = 4


async def cluster_under_test(
    start_cluster: StartCluster, upstream: SampleUpstream, nodes: int, workers: int
) -> LocalCluster:
    cluster = await start_cluster(nodes, {"nginx_worker_processes": str(workers)})
    await add_service(cluster, upstream)
    await add_route(cluster, cluster.nodes[0], "r")
    for node in cluster.nodes:
        await until_status(cluster, node, "/r", 200)
    return cluster


async def until_answered(result: Load, more: int) -> None:
    """Wait until ``more`` further requests were answered with 200."""
    wanted = result.outcomes["200"] + more

    async def enough() -> bool:
        return result.outcomes["200"] >= wanted

    await until(enough, f"{more} more requests are answered")


async def whole_node(cluster: LocalCluster, node: LocalNode) -> list[int]:
    assert node.process is not None
    return [node.process.pid, *await worker_pids(cluster, node)]


async def test_a_killed_worker_costs_at_most_the_requests_in_flight(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await cluster_under_test(start_cluster, upstream, nodes=1, workers=2)
    node = cluster.nodes[0]
    async with load([node.ports.proxy], "/r", CLIENTS) as result:
        for _ in range(3):
            await until_answered(result, 50)
            victim = (await worker_pids(cluster, node))[0]
            os.kill(victim, signal.SIGKILL)

            async def is_replaced(victim: int = victim) -> bool:
                pids = await worker_pids(cluster, node)
                return victim not in pids and len(pids) == 2

            await until(is_replaced, "two workers run again")
        await until_answered(result, 50)
    in_flight_at_most = 3 * CLIENTS
    assert sum(result.failures.values()) <= in_flight_at_most, result.outcomes


@pytest.mark.long
async def test_the_other_nodes_never_fail_when_one_is_killed_whole(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await cluster_under_test(start_cluster, upstream, nodes=3, workers=1)
    first, second, third = cluster.nodes
    async with load([first.ports.proxy, second.ports.proxy], "/r", CLIENTS) as result:
        await until_answered(result, 100)
        for pid in await whole_node(cluster, third):
            os.kill(pid, signal.SIGKILL)
        await third.kill()
        await add_route(cluster, first, "after")
        await until_status(cluster, second, "/after", 200)
        await cluster.until_view({"node1": "alive", "node2": "alive", "node3": "failed"})
        await third.start()
        await third.until_ready(cluster.session)
        await until_status(cluster, third, "/after", 200)
        await cluster.until_view({"node1": "alive", "node2": "alive", "node3": "alive"})
    assert result.failures == {}


@pytest.mark.long
async def test_with_its_supervisor_killed_a_worker_finishes_and_the_node_starts_anew(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await cluster_under_test(start_cluster, upstream, nodes=2, workers=1)
    first, second = cluster.nodes
    async with (
        load([first.ports.proxy], "/r", CLIENTS) as spared,
        load([second.ports.proxy], "/r", CLIENTS) as hit,
    ):
        await until_answered(hit, 100)
        workers = await worker_pids(cluster, second)
        await second.kill()

        async def are_gone() -> bool:
            return not any(is_running(pid) for pid in workers)

        await until(are_gone, "the workers have exited", seconds=5)
        await second.start()
        await second.until_ready(cluster.session)
        await until_answered(hit, 100)
    assert spared.failures == {}
    # While nobody listened, connections were refused; no request that was taken got a wrong answer.
    assert set(hit.failures) <= {"ConnectionRefusedError", "ConnectionResetError"}, hit.outcomes
