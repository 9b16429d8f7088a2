"""A node's replica on disk: what a start needs when nobody else is there (DESIGN 5 and 10)."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.upstream import SampleUpstream
from store.migrations.sqlite_runner import SqliteMigrations
from tests.system.conftest import StartCluster
from tests.system.waiting import until


def authority_of(cluster: LocalCluster) -> Path:
    return cluster.home / "authority.db"


def take_away(path: Path) -> None:
    """A database file and what belongs to it."""
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(file.with_name(f"away-{file.name}"))


async def add_route(cluster: LocalCluster, node: LocalNode, name: str, port: int) -> None:
    admin = node.admin_url
    await cluster.post_json(f"{admin}/services", {"name": name, "url": f"http://127.0.0.1:{port}"})
    await cluster.post_json(
        f"{admin}/services/{name}/routes", {"name": name, "paths": [f"/{name}"]}
    )


async def serves(cluster: LocalCluster, node: LocalNode, name: str) -> bool:
    async with cluster.session.get(f"{node.proxy_url}/{name}") as response:
        return response.status == 200


async def shown(cluster: LocalCluster, node: LocalNode) -> dict[str, Any]:
    """The cluster's part of the node's /status."""
    answer: dict[str, Any] = (await cluster.get_json(f"{node.status_url}/status"))["cluster"]
    return answer


async def until_kept(cluster: LocalCluster, node: LocalNode) -> None:
    async def is_kept() -> bool:
        status = await shown(cluster, node)
        return bool(status["replica_file"]["revision"] == status["revision"])

    await until(is_kept, f"{node.name} has its replica on disk")


async def start_again(cluster: LocalCluster, node: LocalNode) -> None:
    await node.start()
    await node.until_ready(cluster.session)

    async def answers() -> bool:
        await serves(cluster, node, "")
        return True

    # A worker that was told to listen may not have come to it yet.
    await until(answers, f"{node.name}'s proxy answers")


async def test_after_kill_9_a_node_serves_with_neither_authority_nor_peers(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(1)
    (node,) = cluster.nodes
    await add_route(cluster, node, "a", upstream.port)
    await until_kept(cluster, node)
    await node.kill()
    take_away(authority_of(cluster))
    await start_again(cluster, node)
    assert await serves(cluster, node, "a")
    listed = await cluster.get_json(f"{node.admin_url}/routes")
    assert [route["name"] for route in listed["data"]] == ["a"]
    assert (await shown(cluster, node))["replica_file"]["problem"] == ""


async def test_a_node_whose_peers_are_silent_serves_after_a_while(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    await add_route(cluster, first, "a", upstream.port)
    await cluster.until_revision("1.2")
    await until_kept(cluster, second)
    await first.kill()
    await second.kill()
    take_away(authority_of(cluster))
    await start_again(cluster, second)
    assert await serves(cluster, second, "a")
    assert "nobody else answers" in second.log_tail(200)


@pytest.mark.long
async def test_a_stale_file_is_never_served_beside_a_fresher_neighbour(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    await add_route(cluster, first, "old", upstream.port)
    await cluster.until_revision("1.2")
    await until_kept(cluster, second)
    await second.kill()
    await add_route(cluster, first, "new", upstream.port)
    take_away(authority_of(cluster))
    await second.start()

    async def answers() -> bool:
        async with cluster.session.get(f"{second.proxy_url}/new") as response:
            assert response.status == 200, "the first answer must know the newest route"
            return True

    await until(answers, "the second node serves", seconds=40)


async def test_a_damaged_file_is_set_aside_and_refilled(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(1)
    (node,) = cluster.nodes
    await add_route(cluster, node, "a", upstream.port)
    await until_kept(cluster, node)
    await node.stop()
    with sqlite3.connect(node.prefix / "replica.db") as connection:
        connection.execute("UPDATE entities_0 SET text = replace(text, 'a', 'b')")
        connection.execute("UPDATE about SET revision = revision + 1")
    connection.close()
    await start_again(cluster, node)
    assert await serves(cluster, node, "a")
    await until_kept(cluster, node)
    assert (await shown(cluster, node))["counters"]["replica_file_set_aside"] == 1
    assert len(re.findall("the replica file is set aside", node.log_tail(500))) == 1
    aside = [path.name for path in node.prefix.glob("replica.db.2*")]
    assert len(aside) == 1
    await node.kill()
    take_away(authority_of(cluster))
    await start_again(cluster, node)
    assert await serves(cluster, node, "a")


@pytest.mark.long
async def test_when_the_file_can_not_be_written_the_node_serves_and_says_so_once(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(1)
    (node,) = cluster.nodes
    await node.stop()
    place = node.prefix / "replica.db"
    take_away(place)
    place.mkdir()
    await start_again(cluster, node)
    await add_route(cluster, node, "a", upstream.port)
    await until_serves(cluster, node, "a")

    async def has_failed_again() -> bool:
        status = await shown(cluster, node)
        return bool(status["replica_file"]["problem"]) and (
            status["counters"]["replica_file_failures"] >= 2
        )

    await until(has_failed_again, "the failure is in /status, and tried again")
    assert len(re.findall("can't be kept on disk", node.log_tail(500))) == 1
    place.rmdir()
    await until_kept(cluster, node)
    assert (await shown(cluster, node))["replica_file"]["problem"] == ""
    await node.kill()
    take_away(authority_of(cluster))
    await start_again(cluster, node)
    assert await serves(cluster, node, "a")


async def until_serves(cluster: LocalCluster, node: LocalNode, name: str) -> None:
    await until(lambda: serves(cluster, node, name), f"{node.name} serves {name}")


@pytest.mark.long
async def test_another_authority_is_refused_by_who_serves_already_and_taken_at_the_next_start(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(1)
    (node,) = cluster.nodes
    await add_route(cluster, node, "a", upstream.port)
    await until_kept(cluster, node)
    await node.kill()
    take_away(authority_of(cluster))
    await start_again(cluster, node)
    await SqliteMigrations(authority_of(cluster)).bootstrap()

    async def is_refused() -> bool:
        reason: str = (await shown(cluster, node))["authority"]["reason"]
        return reason.startswith("authority changed: ")

    await until(is_refused, "the other authority is refused")
    assert await serves(cluster, node, "a")

    assert await node.stop() == 0
    await start_again(cluster, node)
    assert not await serves(cluster, node, "a")
    await until_kept(cluster, node)
    assert (await shown(cluster, node))["counters"]["replica_file_set_aside"] == 1
