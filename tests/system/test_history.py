"""The authority loses commits, or is another one: told apart, and one history goes on."""

import json
from collections.abc import Iterator

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.local_postgres import LocalPostgres, settings_for
from node.demo.upstream import SampleUpstream
from tests.postgres_server import PostgresDatabases, execute, fetch, running_server
from tests.postgres_standby import Standby, running_standby
from tests.system.conftest import StartCluster
from tests.system.test_authority_away import add_sample, until_serves
from tests.system.waiting import until


@pytest.fixture
def primary() -> Iterator[LocalPostgres]:
    with running_server() as server:
        yield server


@pytest.fixture
def standby(primary: LocalPostgres) -> Iterator[Standby]:
    with running_standby(primary) as server:
        yield server


async def add(cluster: LocalCluster, name: str, node: int = 0) -> None:
    await cluster.post_json(
        f"{cluster.nodes[node].admin_url}/services/sample/routes",
        {"name": name, "paths": [f"/{name}"]},
    )


async def until_gone(cluster: LocalCluster, node: LocalNode, path: str) -> None:
    async def is_gone() -> bool:
        async with cluster.session.get(f"{node.proxy_url}{path}") as response:
            return response.status == 404

    await until(is_gone, f"{node.name} doesn't serve {path}")


async def until_copied(primary: LocalPostgres, standby: Standby) -> None:
    """Until the standby has replayed what the primary has written."""
    rows = await fetch(primary.address(), "SELECT pg_current_wal_lsn()::text AS lsn")

    async def is_copied() -> bool:
        query = f"SELECT pg_last_wal_replay_lsn() >= '{rows[0]['lsn']}' AS done"
        done: bool = (await fetch(standby.address(), query))[0]["done"]
        return done

    await until(is_copied, "the standby has everything")


async def cut_off(standby: Standby) -> None:
    """From now on it receives nothing."""
    await execute(standby.address(), "ALTER SYSTEM SET primary_conninfo = ''")
    await execute(standby.address(), "SELECT pg_reload_conf()")

    async def is_cut_off() -> bool:
        return not await fetch(standby.address(), "SELECT 1 FROM pg_stat_wal_receiver")

    await until(is_cut_off, "the standby receives nothing")


def kept(node: LocalNode) -> list[str]:
    """Names of the entities in what the node has kept of an abandoned history."""
    lines = [
        json.loads(line)
        for file in sorted((node.prefix / "abandoned").glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    return [change["entity"]["name"] for line in lines for change in line["changes"]]


async def until_epoch(cluster: LocalCluster, epoch: int) -> None:
    async def is_there() -> bool:
        return all([await served_epoch(cluster, node) == epoch for node in cluster.nodes])

    await until(is_there, f"all nodes serve epoch {epoch}")


async def served_epoch(cluster: LocalCluster, node: LocalNode) -> int:
    answer = await cluster.get_json(f"{node.admin_url}/cluster/revision")
    return int(answer["revision"].partition(".")[0])


async def test_a_failover_that_lost_commits_is_found_and_everybody_follows_what_is_left(
    primary: LocalPostgres,
    standby: Standby,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
) -> None:
    address = await PostgresDatabases(primary.address()).create()
    hosts = f"127.0.0.1:{primary.port}, 127.0.0.1:{standby.port}"
    cluster = await start_cluster(3, {**settings_for(address), "pg_host": hosts})
    await add_sample(cluster, upstream)
    await add(cluster, "kept")
    await until_copied(primary, standby)
    await cut_off(standby)
    await add(cluster, "lost")
    await add(cluster, "lost-too", node=1)
    for node in cluster.nodes:
        await until_serves(cluster, node, "/lost-too")
    primary.kill()
    await execute(standby.address(), "SELECT pg_promote()")

    await until_epoch(cluster, 2)
    for node in cluster.nodes:
        await until_serves(cluster, node, "/kept")
        await until_gone(cluster, node, "/lost")
        await until_gone(cluster, node, "/lost-too")
    await add(cluster, "after", node=2)
    for node in cluster.nodes:
        await until_serves(cluster, node, "/after")
        assert await served_epoch(cluster, node) == 2, "nobody has raised twice"

    async def are_kept() -> bool:
        return all(kept(node) == ["lost", "lost-too"] for node in cluster.nodes)

    await until(are_kept, "each node has kept what was lost")
    for node in cluster.nodes:
        (file,) = (node.prefix / "abandoned").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert str(file) in node.log_tail(10_000)


async def status_of_write(cluster: LocalCluster, node: LocalNode, name: str) -> tuple[int, str]:
    url = f"{node.admin_url}/services/sample/routes"
    body = {"name": name, "paths": [f"/{name}"]}
    async with cluster.session.post(url, json=body) as response:
        answer = await response.json()
        return response.status, answer.get("message", "")


async def until_refuses(cluster: LocalCluster, node: LocalNode, reason: str) -> None:
    async def refuses() -> bool:
        status, message = await status_of_write(cluster, node, "never")
        assert status == 503, f"{node.name} must not take a write"
        return message.startswith(reason)

    await until(refuses, f"{node.name} refuses writes: {reason}")


async def test_of_two_databases_at_once_one_goes_on_and_the_other_side_refuses_writes(
    primary: LocalPostgres,
    standby: Standby,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
) -> None:
    address = await PostgresDatabases(primary.address()).create()
    cluster = await start_cluster(2, settings_for(address), spare=2)
    await add_sample(cluster, upstream)
    await until_copied(primary, standby)
    await cut_off(standby)
    await execute(standby.address(), "SELECT pg_promote()")
    old = cluster.nodes[:2]
    settings = {"pg_host": f"127.0.0.1:{standby.port}"}
    settings["cluster_seeds"] = f"127.0.0.1:{old[0].ports.gossip}"
    new = [cluster.add_node(settings) for _ in range(2)]
    for node in new:
        await node.start()
        await node.until_ready(cluster.session)
    await cluster.until_view({node.name: "alive" for node in cluster.nodes})

    await add(cluster, "old-side")
    for node in cluster.nodes:
        await until_serves(cluster, node, "/old-side")
    for node in new:
        await until_known(cluster, node, refuses=False)
    for node in old:
        await until_known(cluster, node, refuses=True)
        await until_refuses(cluster, node, "authority split: ")
        await until_serves(cluster, node, "/old-side")
    assert {await served_epoch(cluster, node) for node in cluster.nodes} == {1}, "nobody raises"

    assert (await status_of_write(cluster, new[0], "new-side"))[0] == 201
    for node in new:
        await until_serves(cluster, node, "/new-side")
    for node in old:
        await until_refuses(cluster, node, "authority split: ")
        await until_serves(cluster, node, "/old-side")

    primary.kill()
    for node in cluster.nodes:
        await until_serves(cluster, node, "/new-side")
        await until_gone(cluster, node, "/old-side")


async def until_known(cluster: LocalCluster, node: LocalNode, *, refuses: bool) -> None:
    async def is_known() -> bool:
        answer = await cluster.get_json(f"{node.admin_url}/cluster/authority")
        split = answer["split"]
        return split is not None and split["writes"] == ("refused" if refuses else "taken")

    await until(is_known, f"{node.name} knows of the split")
