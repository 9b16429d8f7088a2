"""Writes that wait until everyone has them, with real nodes that stop, hang and die."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from gossip.limits import FENCE_FAILED_GRACE
from node.demo.cluster import LocalCluster, LocalNode
from node.demo.upstream import SampleUpstream
from tests.system.conftest import StartCluster
from tests.system.processes import grapevine
from tests.system.test_cluster import slow_request, status, worker_pids
from tests.system.waiting import until

PATIENT = aiohttp.ClientTimeout(total=60)


class Answer(NamedTuple):
    status: int
    fence: str
    body: Any
    revision: str
    seconds: float


async def write(
    cluster: LocalCluster, node: LocalNode, name: str, fence: str = "all; timeout=10"
) -> Answer:
    """A service, put with a fence through a node."""
    began = time.monotonic()
    async with cluster.session.put(
        f"{node.admin_url}/services/{name}",
        json={"host": "h.test"},
        headers={"Grapevine-Fence": fence} if fence else {},
        timeout=PATIENT,
    ) as response:
        body = await response.json()
        return Answer(
            response.status,
            response.headers.get("Grapevine-Fence", ""),
            body,
            response.headers["Grapevine-Revision"],
            time.monotonic() - began,
        )


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_a_fenced_write_is_served_by_every_node_when_it_is_answered(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(3)
    await cluster.post_json(
        f"{cluster.nodes[0].admin_url}/services",
        {"name": "sample", "url": f"http://127.0.0.1:{upstream.port}"},
    )
    for turn, writer in enumerate(cluster.nodes * 3):
        async with cluster.session.post(
            f"{writer.admin_url}/services/sample/routes?fence=all&timeout=20",
            json={"name": f"r{turn}", "paths": [f"/r{turn}"]},
            timeout=PATIENT,
        ) as response:
            assert response.status == 201
            assert response.headers["Grapevine-Fence"] == "complete; members=3"
        for node in cluster.nodes:
            assert await status(cluster, node, f"/r{turn}") == 200


@pytest.mark.long
async def test_a_worker_that_stands_still_makes_its_node_missing(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(3)
    first, second, _ = cluster.nodes
    with stopped(*await worker_pids(cluster, second)):
        answer = await write(cluster, first, "late", "all; timeout=3")
        assert (answer.status, answer.fence) == (202, "partial; missing=node2")
        assert answer.body["name"] == "late"
        assert 2.9 < answer.seconds < 20
        unfenced = await write(cluster, second, "unfenced", "")
        assert (unfenced.status, unfenced.fence) == (200, "")
        assert 0.1 <= unfenced.seconds < 2.9, "its own worker is waited for a tenth of a second"
    command = await grapevine(
        "cluster", "fence", answer.revision, "--timeout", "20", "--admin-url", first.admin_url
    )
    assert await command.end() == 0, command.output
    assert "3 members" in command.output


@pytest.mark.long
async def test_a_worker_that_died_is_not_waited_for(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    for turn in range(3):
        for pid in await worker_pids(cluster, second):
            os.kill(pid, signal.SIGKILL)
        answer = await write(cluster, first, f"s{turn}", "all; timeout=30")
        assert (answer.status, answer.fence) == (200, "complete; members=2")


@pytest.mark.long
async def test_a_node_that_stands_still_is_unreachable(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(3)
    first, second, third = cluster.nodes
    assert third.process is not None
    with stopped(*await worker_pids(cluster, third), third.process.pid):
        answer = await write(cluster, second, "silent", "all; timeout=3")
        assert (answer.status, answer.fence) == (202, "partial; unreachable=node3")
        command = await grapevine(
            *("cluster", "fence", answer.revision, "--timeout", "0.5"),
            *("--admin-url", first.admin_url),
        )
        assert await command.end() == 1, command.output
        assert "unreachable" in command.output
        assert "node3" in command.output

    async def complete() -> bool:
        return (await write(cluster, second, "again")).status == 200

    await until(complete, "all three have it again", seconds=40)


@pytest.mark.long
async def test_a_killed_node_is_named_for_a_while_and_does_not_count_after_it(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(3)
    first, _, third = cluster.nodes
    await third.kill()
    began = time.monotonic()
    named = 0

    async def complete() -> bool:
        nonlocal named
        answer = await write(cluster, first, "s", "all; timeout=0.5")
        if answer.status == 202 and answer.fence == "partial; unreachable=node3":
            named += 1
        return (answer.status, answer.fence) == (200, "complete; members=2")

    await until(complete, "the dead don't count", seconds=FENCE_FAILED_GRACE + 30)
    assert named > 0
    assert time.monotonic() - began > FENCE_FAILED_GRACE - 1


@pytest.mark.long
async def test_an_old_worker_with_a_request_in_flight_counts(start_cluster: StartCluster) -> None:
    """After a reload the old worker still answers on its connections: with what it serves."""
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    old = await worker_pids(cluster, second)
    async with slow_request(cluster, second) as (reader, writer):
        second.signal(signal.SIGHUP)

        async def is_replaced() -> bool:
            return await worker_pids(cluster, second) != old

        await until(is_replaced, "a new worker serves")
        assert (await write(cluster, first, "both")).fence == "complete; members=2"
        with stopped(*old):
            answer = await write(cluster, first, "late", "all; timeout=3")
            assert (answer.status, answer.fence) == (202, "partial; missing=node2")
        writer.write(b"c" * 10)
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
    assert (await write(cluster, first, "done")).fence == "complete; members=2"


async def test_revisions_are_waited_for_by_name(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(2)
    written = (await write(cluster, cluster.nodes[0], "s")).revision
    url = f"{cluster.nodes[1].admin_url}/cluster/revision"
    for revision in (written, "1.1000000", "7.1"):
        async with cluster.session.get(f"{url}?fence={revision}&timeout=0.5") as response:
            body = await response.json()
        if revision == written:
            assert (response.status, body["complete"], body["members"]) == (200, True, 2)
        else:
            assert (response.status, body["complete"]) == (202, False), revision
            assert sorted(body["missing"]) == ["node1", "node2"], revision
            assert body["unreachable"] == []
