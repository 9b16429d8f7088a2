"""Who a node is, and who is in the cluster, as operators meet it: copies, names, forcing out."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.local_postgres import LocalPostgres, settings_for
from node.demo.ports import node_ports
from node.demo.upstream import SampleUpstream
from store.authority import Removal
from store.migrations.sqlite_runner import SqliteMigrations
from store.postgres import PostgresAuthority
from store.sqlite import SqliteAuthority
from tests.postgres_server import PostgresDatabases, running_server
from tests.system.conftest import StartCluster, free_base
from tests.system.processes import grapevine
from tests.system.waiting import until


@pytest.fixture
def postgres() -> Iterator[LocalPostgres]:
    """A server of the test's own, to be stopped."""
    with running_server() as server:
        yield server


def node_id(node: LocalNode) -> str:
    stored: str = json.loads((node.prefix / "identity.json").read_text())["node_id"]
    return stored


async def notices(cluster: LocalCluster, node: LocalNode) -> list[str]:
    told: list[str] = (await cluster.get_json(f"{node.admin_url}/cluster"))["notices"]
    return told


async def force_leave(cluster: LocalCluster, node: LocalNode, name: str) -> int:
    async with cluster.session.delete(f"{node.admin_url}/cluster/nodes/{name}") as response:
        return response.status


async def until_member(
    cluster: LocalCluster, observer: LocalNode, name: str, status: str | None
) -> None:
    async def is_so() -> bool:
        return (await cluster.members(observer)).get(name) == status

    await until(is_so, f"{observer.name} sees {name} {status}")


async def until_out(cluster: LocalCluster, node: LocalNode) -> None:
    """Until a node that was forced out sees itself alone and says why."""

    async def is_out() -> bool:
        return await cluster.members(node) == {node.name: "left"}

    await until(is_out, f"{node.name} sees itself alone")
    assert "was forced out of the cluster" in (await notices(cluster, node))[-1]


@pytest.mark.long
async def test_a_copied_prefix_becomes_a_node_of_its_own_and_both_go_on(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(2, spare=1)
    first = cluster.nodes[0]
    first_id = node_id(first)
    await cluster.post_json(
        f"{first.admin_url}/services", {"name": "s", "url": f"http://127.0.0.1:{upstream.port}"}
    )
    await cluster.post_json(f"{first.admin_url}/services/s/routes", {"name": "r", "paths": ["/r"]})
    copy = cluster.add_node()
    shutil.copytree(first.prefix, copy.prefix)
    assert node_id(copy) == first_id
    await copy.start()
    await copy.until_ready(cluster.session)

    await cluster.until_view({node.name: "alive" for node in cluster.nodes})
    ids = [node_id(node) for node in cluster.nodes]
    assert len(set(ids)) == 3
    assert first_id in ids
    told = [*await notices(cluster, first), *await notices(cluster, copy)]
    assert len(told) == 1
    assert f"the node id {first_id} is also used by the process at 127.0.0.1:" in told[0]
    for node in cluster.nodes:
        async with cluster.session.get(f"{node.proxy_url}/r") as response:
            assert response.status == 200

    authority = SqliteAuthority(cluster.home / "authority.db")
    await authority.open()

    async def has_all_rows() -> bool:
        return {row.id for row in await authority.nodes()} == set(ids)

    await until(has_all_rows, "the authority has a row for each")
    await authority.close()


async def test_of_two_nodes_of_one_name_one_goes_on_under_another_and_says_so(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(2, spare=1)
    first = cluster.nodes[0]
    twin = cluster.add_node({"node_name": "node1"})
    await twin.start()
    await twin.until_ready(cluster.session)

    lower, greater = sorted((first, twin), key=node_id)
    name = f"node1~{node_id(greater)[-4:]}"
    await cluster.until_view({"node1": "alive", "node2": "alive", name: "alive"})
    (told,) = await notices(cluster, greater)
    assert told.startswith(f"this node goes on as {name}: the node at 127.0.0.1:")
    members = (await cluster.get_json(f"{lower.admin_url}/cluster"))["data"]
    assert {m["name"] for m in members if m["id"] == node_id(lower)} == {"node1"}
    for node in (lower, greater):
        async with cluster.session.get(f"{node.status_url}/status/ready") as response:
            assert response.status == 200, "nobody is shut down"


@pytest.mark.long
async def test_who_was_forced_out_goes_on_proxying_and_is_back_after_a_restart(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(3)
    first, second, third = cluster.nodes
    assert await force_leave(cluster, first, "node3") == 204
    await until_out(cluster, third)
    for node in (first, second):
        await until_member(cluster, node, "node3", "left")
    async with cluster.session.get(f"{third.proxy_url}/nothing") as response:
        assert response.status == 404, "it goes on proxying"

    authority = SqliteAuthority(cluster.home / "authority.db")
    await authority.open()
    assert [removal.id for removal in await authority.removals()] == [node_id(third)]
    assert node_id(third) not in [row.id for row in await authority.nodes()]
    await authority.close()

    assert await third.stop() == 0
    await third.start()
    await third.until_ready(cluster.session)
    await cluster.until_view({node.name: "alive" for node in cluster.nodes})
    assert await notices(cluster, third) == []

    assert await force_leave(cluster, first, "node1") == 409
    assert await force_leave(cluster, first, "node9") == 404


@pytest.mark.long
async def test_forced_out_with_the_authority_down_is_a_fact_when_it_is_back(
    postgres: LocalPostgres, start_cluster: StartCluster
) -> None:
    address = await PostgresDatabases(postgres.address()).create()
    cluster = await start_cluster(3, {**settings_for(address), "pg_timeout": "2000"})
    first, second, third = cluster.nodes
    postgres.stop()
    assert await force_leave(cluster, first, node_id(third)) == 204
    await until_out(cluster, third)
    await until_member(cluster, second, "node3", "left")
    generation = json.loads((third.prefix / "identity.json").read_text())["generation"]

    assert await first.stop() == 0
    await first.start()
    await first.until_ready(cluster.session)
    postgres.start()
    authority = PostgresAuthority(address)
    await authority.open()

    async def is_known() -> bool:
        return await authority.removals() == (Removal(node_id(third), generation),)

    await until(is_known, "the authority knows, though the node was restarted meanwhile")
    await authority.close()


async def test_two_databases_in_one_cluster_are_refused_by_name(tmp_path: Path) -> None:
    """DESIGN 10: each node says so with both ids and addresses, and serves its own."""
    base = free_base(2)
    nodes = [LocalNode(tmp_path, number, node_ports(base, number)) for number in (1, 2)]
    runs = []
    for node, other in zip(nodes, reversed(nodes), strict=True):
        own_file = tmp_path / f"{node.name}.db"
        await SqliteMigrations(own_file).bootstrap()
        node.configure(
            {
                "database": "sqlite",
                "sqlite_path": str(own_file),
                "cluster_seeds": f"127.0.0.1:{other.ports.gossip}",
            }
        )
        runs.append(await grapevine("run", "-c", str(node.conf)))
    for run, node, other in zip(runs, nodes, reversed(nodes), strict=True):
        said = await run.until_output(
            r"two databases in one cluster: the node (\S+) at (\S+) has the authority (\S+), "
            r"this one (\S+); "
        )
        assert (said[1], said[2]) == (other.name, f"127.0.0.1:{other.ports.gossip}")
        assert said[3] != said[4]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{node.admin_url}/cluster") as response:
                answer = await response.json()
            async with session.post(
                f"{node.admin_url}/services", json={"name": node.name, "host": "a.test"}
            ) as response:
                assert response.status == 201
            async with session.get(f"{node.admin_url}/services/{other.name}") as response:
                assert response.status == 404
        assert [member["name"] for member in answer["data"]] == [node.name]
        assert any("sqlite_path" in notice for notice in answer["notices"])
    for run in runs:
        run.process.send_signal(signal.SIGTERM)
        assert await run.end() == 0
