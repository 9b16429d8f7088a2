"""A register in a cluster of real processes: the level of every node's log."""

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from tests.system.conftest import StartCluster
from tests.system.waiting import until


async def put(cluster: LocalCluster, node: LocalNode, path: str) -> str:
    async with cluster.session.put(f"{node.admin_url}{path}") as response:
        assert response.status == 200
        text: str = (await response.json())["message"]
        return text


async def until_level(cluster: LocalCluster, node: LocalNode, level: str) -> None:
    async def has_it() -> bool:
        answer = await cluster.get_json(f"{node.admin_url}/debug/node/log-level")
        return bool(answer["message"] == f"log level: {level}")

    await until(has_it, f"{node.name} logs from {level} on")


@pytest.mark.long
async def test_a_level_for_the_cluster_reaches_every_node_and_one_that_was_away(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(3)
    first, second, third = cluster.nodes
    await third.stop()
    changed = await put(cluster, first, "/debug/cluster/log-level/debug?timeout=3600")
    assert changed == "log level changed"
    for node in (first, second):
        await until_level(cluster, node, "debug")
    await third.start()
    await third.until_ready(cluster.session)
    await until_level(cluster, third, "debug")
    await put(cluster, second, "/debug/node/log-level/info")
    await until_level(cluster, second, "info")
    await put(cluster, third, "/debug/cluster/log-level/error?timeout=3600")
    for node in cluster.nodes:
        await until_level(cluster, node, "error")
    await put(cluster, second, "/debug/cluster/log-level/error?timeout=0")
    for node in cluster.nodes:
        await until_level(cluster, node, "notice")


async def test_a_level_for_the_cluster_outlives_the_restart_of_all_of_it_and_ends_in_its_time(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(1)
    (node,) = cluster.nodes
    await put(cluster, node, "/debug/cluster/log-level/debug?timeout=3600")
    await until_level(cluster, node, "debug")
    await node.stop()
    await node.start()
    await node.until_ready(cluster.session)
    await until_level(cluster, node, "debug")
    await put(cluster, node, "/debug/cluster/log-level/info?timeout=1")
    await until_level(cluster, node, "info")
    await until_level(cluster, node, "notice")
