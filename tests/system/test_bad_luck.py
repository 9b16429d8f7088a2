"""Packets that go astray, peers that die while they give, and a writer that dies having committed.

The wires between the nodes are in the test's hands (tests/system/wires.py).
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from benchmarks.outcome import differences
from node.agent.authorities import make_authority
from node.config.load import load
from node.demo.cluster import LocalCluster, LocalNode
from store.authority import Create
from tests.system.conftest import StartCluster
from tests.system.test_cluster import worker_pids
from tests.system.waiting import until
from tests.system.wires import Hold, Weather, Wires, wires

pytestmark = pytest.mark.long

PATH_CHARS = 2_000
ENTITIES = 400
"""Of PATH_CHARS each: some 900 KB, so that a snapshot has several slices and a pull several
answers."""
HELD_AFTER_BYTES = 200_000


@pytest.fixture
async def between() -> AsyncIterator[Wires]:
    async with wires() as laid:
        yield laid


async def fill(cluster: LocalCluster, *, changesets: int) -> str:
    """Commit ENTITIES services in so many changesets, past all nodes; the version."""
    authority = make_authority(load(str(cluster.nodes[0].conf), {}, {}))
    await authority.open()
    try:
        made = [
            Create("services", {"name": f"s{number}", "host": "h", "path": "/" + "x" * PATH_CHARS})
            for number in range(ENTITIES)
        ]
        size = ENTITIES // changesets
        for first in range(0, ENTITIES, size):
            await authority.write(made[first : first + size], origin="test")
        return str((await authority.head()).version)
    finally:
        await authority.close()


async def kill_whole(cluster: LocalCluster, node: LocalNode) -> None:
    """kill -9 of a node's processes, all at once."""
    assert node.process is not None
    for pid in (node.process.pid, *await worker_pids(cluster, node)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await node.kill()


async def counters(cluster: LocalCluster, node: LocalNode) -> dict[str, int]:
    told: dict[str, Any] = await cluster.get_json(f"{node.status_url}/status")
    counted: dict[str, int] = told["cluster"]["counters"]
    return counted


async def test_a_fifth_of_all_packets_lost_doubled_and_late_loses_no_change(
    start_cluster: StartCluster, between: Wires
) -> None:
    cluster = await start_cluster(5, own=between.own)
    between.weather = Weather(loss=0.2, duplication=0.2, delay=0.2)

    async def write(number: int) -> None:
        node = cluster.nodes[number % 5]
        service = {"name": f"s{number}", "host": f"{number}.test"}
        await cluster.post_json(f"{node.admin_url}/services", service)

    for first in range(0, 200, 20):
        await asyncio.gather(*(write(number) for number in range(first, first + 20)))
    await cluster.until_revision("1.200")
    told = [await cluster.get_json(f"{node.admin_url}/cluster/revision") for node in cluster.nodes]
    assert len({answer["digest"] for answer in told}) == 1
    assert min(between.happened[what] for what in ("lost", "doubled", "late")) > 50
    between.weather = Weather()
    await cluster.until_view({node.name: "alive" for node in cluster.nodes})
    await cluster.stop()
    assert await differences(cluster) == []


async def test_a_newcomer_goes_on_with_another_peer_when_one_dies_in_mid_snapshot(
    start_cluster: StartCluster, between: Wires
) -> None:
    cluster = await start_cluster(3, own=between.own, spare=1)
    wanted = await fill(cluster, changesets=4)
    await cluster.until_revision(wanted)
    away = {
        "sqlite_path": str(cluster.home / "nowhere" / "authority.db"),
        "cluster_seeds": ", ".join(
            between.own(node)["cluster_advertise"] for node in cluster.nodes
        ),
    }
    newcomer = cluster.add_node(away)
    between.hold = Hold(HELD_AFTER_BYTES)
    await newcomer.start()
    giver = await asyncio.wait_for(asyncio.shield(between.hold.held), 60)
    assert giver is not newcomer
    await kill_whole(cluster, giver)
    between.hold.released.set()
    await newcomer.until_ready(cluster.session)
    answer = await cluster.get_json(f"{newcomer.admin_url}/cluster/revision")
    assert answer["revision"] == wanted
    counted = await counters(cluster, newcomer)
    assert counted["snapshots_installed"] == 1
    assert counted["snapshots_silent"] >= 1
    listed = await cluster.get_json(f"{newcomer.admin_url}/services?size=1000")
    assert {service["name"] for service in listed["data"]} == {f"s{n}" for n in range(ENTITIES)}


async def test_a_node_that_catches_up_goes_on_with_another_peer_when_one_dies_in_mid_pull(
    start_cluster: StartCluster, between: Wires
) -> None:
    cluster = await start_cluster(3, own=between.own)
    first = cluster.nodes[0].admin_url
    await cluster.post_json(f"{first}/services", {"name": "before", "host": "h"})
    await cluster.until_revision("1.1")
    late = cluster.nodes[2]
    await late.stop()
    wanted = await fill(cluster, changesets=ENTITIES)
    await cluster.until_revision(wanted)
    cluster.configure(late, {"sqlite_path": str(cluster.home / "nowhere" / "authority.db")})
    between.hold = Hold(HELD_AFTER_BYTES)
    await late.start()
    giver = await asyncio.wait_for(asyncio.shield(between.hold.held), 60)
    assert giver is not late
    await kill_whole(cluster, giver)
    between.hold.released.set()
    await late.until_ready(cluster.session)

    async def is_there() -> bool:
        answer = await cluster.get_json(f"{late.admin_url}/cluster/revision")
        return bool(answer["revision"] == wanted)

    await until(is_there, "it has caught up")
    counted = await counters(cluster, late)
    assert counted["snapshots_installed"] == 0, "changesets were enough"
    assert counted["pulls"] >= 2


async def test_what_a_writer_committed_before_it_was_killed_is_followed_within_1_5_polls(
    start_cluster: StartCluster, between: Wires
) -> None:
    poll_seconds = 5.0
    settings = {"db_update_frequency": str(int(poll_seconds))}
    cluster = await start_cluster(3, settings, own=between.own)
    first = cluster.nodes[0]
    await cluster.post_json(f"{first.admin_url}/services", {"name": "before", "host": "h"})
    await cluster.until_revision("1.1")
    between.cut(first)
    await cluster.post_json(f"{first.admin_url}/services", {"name": "last", "host": "h"})
    began = time.time()
    await kill_whole(cluster, first)
    await cluster.until_revision("1.2")
    for node in cluster.nodes[1:]:
        answer = await cluster.get_json(f"{node.admin_url}/cluster/revision")
        assert answer["live"] == "1.2"
        assert answer["live_at"] - began < 1.5 * poll_seconds
