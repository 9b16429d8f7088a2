"""``POST /config`` with a database: a whole configuration that real nodes take over in one step."""

import asyncio
from typing import Any

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.upstream import SampleUpstream
from tests.system.conftest import StartCluster
from tests.system.test_off import document


async def post(
    cluster: LocalCluster, node: LocalNode, text: str, query: str = ""
) -> tuple[int, dict[str, Any], str]:
    """Status, body and fence of the answer."""
    url = f"{node.admin_url}/config{query}"
    async with cluster.session.post(url, json={"config": text}) as response:
        fence = response.headers.get("Grapevine-Fence", "")
        return response.status, await response.json(), fence


async def statuses(cluster: LocalCluster, *paths: str) -> list[list[int]]:
    """What each node answers for each path."""
    found: list[list[int]] = []
    for node in cluster.nodes:
        found.append([])
        for path in paths:
            async with cluster.session.get(f"{node.proxy_url}{path}") as response:
                found[-1].append(response.status)
    return found


async def test_a_document_is_served_by_all_in_one_step_and_the_next_one_takes_its_place(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(3)
    first, second, *_ = cluster.nodes
    text = document(upstream, "/a", "/b")
    status, body, _ = await post(cluster, first, text, "?dry_run=1")
    assert (status, body["counts"]["created"]) == (200, 3)
    assert await statuses(cluster, "/a") == [[404]] * 3

    status, body, fence = await post(cluster, first, text, "?fence=all&timeout=20")
    assert (status, body["revision"], fence) == (201, "1.1", "complete; members=3")
    assert await statuses(cluster, "/a", "/b") == [[200, 200]] * 3

    after = document(upstream, "/b", "/c")
    status, body, _ = await post(cluster, second, after, "?fence=all&timeout=20")
    assert (status, body["revision"]) == (201, "1.2")
    counts = {"created": 1, "changed": 0, "deleted": 1, "unchanged": 2}
    assert body["counts"] == counts
    assert await statuses(cluster, "/a", "/b", "/c") == [[404, 200, 200]] * 3

    same = await asyncio.gather(*(post(cluster, node, after) for node in cluster.nodes))
    assert [(status, body["written"]) for status, body, _ in same] == [(200, False)] * 3
