"""Purges in a cluster of real processes."""

from typing import Any

from node.demo.cluster import LocalCluster, LocalNode
from tests.system.conftest import StartCluster
from tests.system.waiting import until


async def counters(cluster: LocalCluster, node: LocalNode) -> dict[str, Any]:
    status = await cluster.get_json(f"{node.admin_url}/status")
    counted: dict[str, Any] = status["cluster"]["counters"]
    return counted


async def invalidate(cluster: LocalCluster, node: LocalNode, **what: str) -> dict[str, Any]:
    url = f"{node.admin_url}/cluster/invalidate"
    async with cluster.session.post(url, json=what) as response:
        assert response.status == 202
        answer: dict[str, Any] = await response.json()
        return answer


async def test_a_purge_on_any_node_is_done_by_the_workers_of_every_node(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(3)
    sequences: list[tuple[str, int]] = []
    for number, origin in enumerate(cluster.nodes, 1):
        answer = await invalidate(cluster, origin, key="keyauth_credentials:k:::::")
        sequences.append((answer["origin"], answer["sequence"]))
        for node in cluster.nodes:

            async def is_done(node: LocalNode = node, number: int = number) -> bool:
                return bool((await counters(cluster, node))["cache_purges"] == number)

            await until(is_done, f"the workers of {node.name} have done {number} purges")
    assert len({origin for origin, _ in sequences}) == 3
    assert [sequence for _, sequence in sequences] == [1, 1, 1]
    again = await invalidate(cluster, cluster.nodes[0], tag="mobile")
    assert (again["origin"], again["sequence"]) == (sequences[0][0], 2)
    for node in cluster.nodes:
        assert (await counters(cluster, node))["purges_skipped"] == 0


async def test_deleting_from_the_cache_of_one_node_leaves_the_others_theirs(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    for path in ("/cache", "/cache/consumers:c1:::::"):
        async with cluster.session.delete(f"{first.admin_url}{path}") as response:
            assert response.status == 204
    async with cluster.session.get(f"{first.admin_url}/cache/consumers:c1:::::") as response:
        assert response.status == 404, "the worker was asked, and has nothing cached"

    async def is_done() -> bool:
        return bool((await counters(cluster, first))["cache_purges"] == 2)

    await until(is_done, "the worker of node1 has done two purges")
    assert (await counters(cluster, second))["cache_purges"] == 0
