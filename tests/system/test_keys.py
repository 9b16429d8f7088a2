"""Rotating the cluster's keys under real nodes: nobody is lost, and who missed it comes back."""

import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gossip.keyring import key_id
from node.demo.cluster import LocalCluster, LocalNode
from tests.system.conftest import StartCluster
from tests.system.processes import grapevine
from tests.system.waiting import until

K1, K2 = bytes(range(32)), bytes(range(100, 132))
TEXT1, TEXT2 = (base64.b64encode(key).decode() for key in (K1, K2))
ID1, ID2 = key_id(K1), key_id(K2)
ENCRYPTED = {"cluster_encrypt_key": TEXT1}


async def keys(cluster: LocalCluster, node: LocalNode) -> dict[str, Any]:
    return await cluster.get_json(f"{node.admin_url}/cluster/keys")


async def change(
    cluster: LocalCluster, node: LocalNode, method: str, path: str = "", **body: object
) -> int:
    """Change the keys through a node; answers the status."""
    url = f"{node.admin_url}/cluster/keys{path}"
    async with cluster.session.request(method, url, json=body or None) as response:
        await response.read()
        return response.status


async def until_seen(
    cluster: LocalCluster, by: Sequence[LocalNode], name: str, statuses: Sequence[str]
) -> None:
    """Wait until these nodes see a member in one of these states (``unlisted``: not at all)."""

    async def is_seen() -> bool:
        seen = [(await cluster.members(node)).get(name, "unlisted") for node in by]
        return all(status in statuses for status in seen)

    await until(is_seen, f"{name} is seen {' or '.join(statuses)}")


async def until_all_have(cluster: LocalCluster, counter: int, total: int) -> None:
    """Wait until every running node has heard that every member has a change."""

    async def have_it() -> bool:
        answers = [await keys(cluster, node) for node in cluster.nodes if node.running]
        return all(
            answer["counter"] == counter
            and answer["members"] == {"total": total, "current": total, "behind": []}
            for answer in answers
        )

    await until(have_it, f"change {counter} is with all {total} members")


@contextlib.asynccontextmanager
async def nobody_is_lost(cluster: LocalCluster) -> AsyncIterator[None]:
    """Ask every running node all the while whether it sees every other one alive."""
    watched = [node for node in cluster.nodes if node.running]
    losses: set[tuple[str, str, str]] = set()
    looks = 0

    async def watch() -> None:
        nonlocal looks
        while True:
            for node in watched:
                seen = await cluster.members(node)
                for other in watched:
                    status = seen.get(other.name, "unlisted")
                    if status != "alive":
                        losses.add((node.name, other.name, status))
            looks += 1
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})
    assert looks > 0
    assert not losses, f"(who saw, whom, as what): {losses}"


async def rotate(cluster: LocalCluster, total: int) -> None:
    """Install, use, remove: each on another node."""
    first, second, third = cluster.nodes[:3]
    install = await grapevine(
        *("cluster", "keys", "install", TEXT2, "--wait", "20", "--admin-url", first.admin_url)
    )
    assert await install.end() == 0, install.output
    assert ID2 in install.output
    await until_all_have(cluster, 1, total)
    assert await change(cluster, second, "PATCH", f"/{ID2}", primary=True) == 200
    await until_all_have(cluster, 2, total)
    assert await change(cluster, third, "DELETE", f"/{ID1}") == 204
    await until_all_have(cluster, 3, total)


@pytest.mark.long
async def test_a_rotation_loses_nobody_and_who_was_away_comes_back(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(4, ENCRYPTED, spare=1)
    away = cluster.nodes[3]
    await away.stop()

    await until_seen(cluster, cluster.nodes[:3], "node4", ("left", "unlisted"))
    async with nobody_is_lost(cluster):
        await rotate(cluster, 3)
    for node in cluster.nodes[:3]:
        assert (await keys(cluster, node))["data"] == [{"id": ID2, "primary": True}]
    async with nobody_is_lost(cluster):
        await away.start()
        fresh = cluster.add_node()
        await fresh.start()
        for node in (away, fresh):
            await node.until_ready(cluster.session)
        await cluster.until_view({f"node{number}": "alive" for number in range(1, 6)})
        await until_all_have(cluster, 3, 5)
    for node in cluster.nodes:
        assert_shows_no_key(node, await cluster.get_json(f"{node.admin_url}/"))


def assert_shows_no_key(node: LocalNode, information: dict[str, Any]) -> None:
    """Neither log, nor files, nor arguments, nor answers of a node hold a key."""
    assert node.process is not None
    shown = {
        "GET /": repr(information),
        "the log": node.log.read_text(errors="replace"),
        "the arguments": Path(f"/proc/{node.process.pid}/cmdline").read_text(),
        "the prefix": (node.prefix / "keyring").read_text(),
    }
    for key in (K1, K2):
        for spelling in (base64.b64encode(key).decode(), key.hex(), repr(key)[2:-1]):
            for where, content in shown.items():
                assert spelling not in content, f"{node.name}: {where}"


async def test_a_node_that_was_paused_through_a_rotation_finds_the_new_key(
    start_cluster: StartCluster,
) -> None:
    """It goes on under a key that nobody reads any more, is told so, and asks the database."""
    cluster = await start_cluster(3, ENCRYPTED)
    first, second, paused = cluster.nodes
    paused.signal(signal.SIGSTOP)
    try:
        await until_seen(cluster, (first, second), "node3", ("failed",))
        assert await change(cluster, first, "POST", key=TEXT2) == 201

        async def is_used() -> bool:
            return await change(cluster, first, "PATCH", f"/{ID2}", primary=True) == 200

        await until(is_used, "the live members have the new key")

        async def is_refused_for_the_failed_one() -> bool:
            url = f"{first.admin_url}/cluster/keys/{ID1}"
            async with cluster.session.delete(url) as response:
                answer = await response.json()
            assert response.status == 409
            return "by node3, which may still send under it" in str(answer["message"])

        await until(is_refused_for_the_failed_one, "only node3 is behind")
        assert await change(cluster, first, "DELETE", f"/{ID1}?force=true") == 204
    finally:
        paused.signal(signal.SIGCONT)
    await cluster.until_view({node.name: "alive" for node in cluster.nodes})
    await until_all_have(cluster, 3, 3)


@pytest.mark.long
async def test_a_node_that_starts_with_old_keys_joins_once_the_database_is_there(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(3, ENCRYPTED, spare=1)
    link = cluster.home / "link.db"
    link.symlink_to(cluster.home / "authority.db")
    late = cluster.add_node({"sqlite_path": str(link)})
    await late.start()
    await late.until_ready(cluster.session)
    await cluster.until_view({f"node{number}": "alive" for number in range(1, 5)})
    await late.stop()
    link.unlink()
    await rotate(cluster, 3)
    await late.start()

    async def says_so() -> bool:
        return "peers use keys that this node lacks" in late.log.read_text()

    await until(says_so, "node4 hears that its key is unknown")
    assert (await cluster.members(late)) == {"node4": "alive"}
    os.symlink(cluster.home / "authority.db", link)
    await cluster.until_view({f"node{number}": "alive" for number in range(1, 5)})
    await until_all_have(cluster, 3, 4)
