"""The authority loses commits, or is another one: told apart, and one history goes on."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.local_postgres import LocalPostgres
from node.demo.local_postgres import settings_for as settings_of_database
from node.demo.upstream import SampleUpstream
from simulations.real.postgres import execute, fetch
from store.migrations.postgres_runner import PostgresMigrations
from store.postgres_address import PostgresAddress
from tests.postgres_server import PostgresDatabases, running_server
from tests.postgres_standby import Standby, running_standby
from tests.system.conftest import StartCluster
from tests.system.test_authority_away import add_sample, until_serves
from tests.system.test_backup import run_tool
from tests.system.waiting import until

pytestmark = pytest.mark.long


def settings_for(address: PostgresAddress) -> dict[str, str]:
    """A node's, with its database read every second.

    Of two databases, each reading of the one puts off the nodes of the other (``store.poll``), and
    who comes next is drawn: every 5 s, none of the others may come for longer than a test waits.
    """
    return {**settings_of_database(address), "db_update_frequency": "1"}


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


async def served(cluster: LocalCluster, node: LocalNode) -> str:
    answer = await cluster.get_json(f"{node.admin_url}/cluster/revision")
    revision: str = answer["revision"]
    return revision


async def served_epoch(cluster: LocalCluster, node: LocalNode) -> int:
    return int((await served(cluster, node)).partition(".")[0])


async def fenced(cluster: LocalCluster, revision: str) -> int:
    """What the last node answers to whether everyone has a revision."""
    url = f"{cluster.nodes[-1].admin_url}/cluster/revision?fence={revision}&timeout=4"
    async with cluster.session.get(url) as response:
        return response.status


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
    revision = await served(cluster, cluster.nodes[0])
    await until_copied(primary, standby)
    await cut_off(standby)
    await add(cluster, "lost")
    await add(cluster, "lost-too", node=1)
    for node in cluster.nodes:
        await until_serves(cluster, node, "/lost-too")
    lost = await served(cluster, cluster.nodes[1])
    assert await fenced(cluster, lost) == 200
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
    assert await fenced(cluster, revision) == 200
    assert await fenced(cluster, lost) == 409
    assert await fenced(cluster, await served(cluster, cluster.nodes[0])) == 200

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


async def two_databases(
    primary: LocalPostgres,
    standby: Standby,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
) -> tuple[LocalCluster, list[LocalNode], list[LocalNode]]:
    """A cluster of which two nodes write to the primary and two to its standby, which was promoted
    all the same; a write at the primary has shown that to all."""
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
    return cluster, old, new


async def test_of_two_databases_at_once_one_goes_on_and_the_other_side_refuses_writes(
    primary: LocalPostgres,
    standby: Standby,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
) -> None:
    cluster, old, new = await two_databases(primary, standby, start_cluster, upstream)
    for node in old:
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


async def test_of_two_databases_at_once_an_operator_keeps_the_other_one(
    primary: LocalPostgres,
    standby: Standby,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
) -> None:
    cluster, old, new = await two_databases(primary, standby, start_cluster, upstream)
    status, message = await adopt(cluster, old[1])
    assert (status, message[:27]) == (200, "the epoch was raised to 2.4")
    for node in new:
        await until_known(cluster, node, refuses=True)
        await until_refuses(cluster, node, "authority split: ")
    for node in old:
        await until_known(cluster, node, refuses=False)
    assert (await status_of_write(cluster, old[0], "goes-on"))[0] == 201
    standby.kill()
    for node in cluster.nodes:
        await until_serves(cluster, node, "/old-side")
        await until_serves(cluster, node, "/goes-on")


async def until_known(cluster: LocalCluster, node: LocalNode, *, refuses: bool) -> None:
    async def is_known() -> bool:
        answer = await cluster.get_json(f"{node.admin_url}/cluster/authority")
        split = answer["split"]
        return split is not None and split["writes"] == ("refused" if refuses else "taken")

    await until(is_known, f"{node.name} knows of the split")


def base_backup(server: LocalPostgres) -> Path:
    """A copy of a server's files, made while it runs, as its own tool makes it."""
    copy = Standby(server)
    copy.create()
    for name in ("standby.signal", "postgresql.auto.conf"):
        (copy.data / name).unlink()
    return copy.home


def put_back(server: LocalPostgres, backup: Path) -> None:
    """Stop the server, and start it from the copy of its files."""
    server.stop()
    subprocess.run(["rm", "-r", server.data], check=True)
    subprocess.run(["cp", "-a", backup / "data", server.data], check=True)
    subprocess.run(["rm", "-r", backup], check=True)
    server.start()


async def all_serve(cluster: LocalCluster, *names: str, gone: Sequence[str]) -> None:
    for node in cluster.nodes:
        for name in names:
            await until_serves(cluster, node, f"/{name}")
        for name in gone:
            await until_gone(cluster, node, f"/{name}")


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_a_restored_backup_is_found_though_nobody_removed_what_the_nodes_hold(
    primary: LocalPostgres,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
    *,
    restarted: bool,
) -> None:
    address = await PostgresDatabases(primary.address()).create()
    cluster = await start_cluster(2, settings_for(address))
    await add_sample(cluster, upstream)
    await add(cluster, "kept")
    backup = base_backup(primary)
    await add(cluster, "lost")
    await all_serve(cluster, "kept", "lost", gone=[])
    if restarted:
        for node in cluster.nodes:
            assert await node.stop() == 0
    put_back(primary, backup)
    if restarted:
        for node in cluster.nodes:
            await node.start()
            await node.until_ready(cluster.session)
    await until_epoch(cluster, 2)
    await add(cluster, "after")
    await all_serve(cluster, "kept", "after", gone=["lost"])

    async def are_kept() -> bool:
        return all(kept(node) == ["lost"] for node in cluster.nodes)

    await until(are_kept, "each node has kept what was lost")


async def test_a_dump_is_restored_under_running_nodes(
    postgres_database: PostgresAddress,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
    tmp_path: Path,
) -> None:
    cluster = await start_cluster(2, settings_for(postgres_database))
    await add_sample(cluster, upstream)
    await add(cluster, "kept")
    dump, name = tmp_path / "grapevine.dump", postgres_database.database
    run_tool(postgres_database, "pg_dump", "-Fc", "-n", "grapevine", "-f", dump, name)
    await add(cluster, "lost")
    await all_serve(cluster, "kept", "lost", gone=[])
    await execute(postgres_database, "DROP SCHEMA grapevine CASCADE")
    run_tool(postgres_database, "pg_restore", "--single-transaction", "-d", name, dump)
    await until_epoch(cluster, 2)
    await add(cluster, "after")
    await all_serve(cluster, "kept", "after", gone=["lost"])


async def test_a_restored_backup_that_was_written_to_is_found_by_its_revisions(
    primary: LocalPostgres, start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    """The same revisions stand for other changes: a newcomer has made as many as were lost."""
    address = await PostgresDatabases(primary.address()).create()
    cluster = await start_cluster(2, settings_for(address), spare=1)
    await add_sample(cluster, upstream)
    backup = base_backup(primary)
    await add(cluster, "lost")
    await all_serve(cluster, "lost", gone=[])
    for node in cluster.nodes:
        assert await node.stop() == 0
    put_back(primary, backup)
    newcomer = cluster.add_node()
    await newcomer.start()
    await newcomer.until_ready(cluster.session)
    for name in ("other", "another"):
        await add(cluster, name, node=2)
    assert await served_epoch(cluster, newcomer) == 1
    for node in cluster.nodes[:2]:
        await node.start()
        await node.until_ready(cluster.session)
    await until_epoch(cluster, 2)
    await add(cluster, "after")
    await all_serve(cluster, "other", "another", "after", gone=["lost"])
    assert kept(newcomer) == []


async def test_another_authority_is_refused_until_it_is_adopted(
    postgres_database: PostgresAddress, start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(2, settings_for(postgres_database))
    await add_sample(cluster, upstream)
    await all_serve(cluster, "s", gone=[])
    first = cluster.nodes[0]
    before = (await cluster.get_json(f"{first.admin_url}/cluster/authority"))["id"]
    await execute(postgres_database, "DROP SCHEMA grapevine CASCADE")
    await PostgresMigrations(postgres_database).bootstrap()
    (row,) = await fetch(postgres_database, "SELECT id::text FROM grapevine.authority")
    refusal = f"authority changed: this node serves that of {before}, and the database now holds"
    for node in cluster.nodes:

        async def is_known(node: LocalNode = node) -> bool:
            answer = await cluster.get_json(f"{node.admin_url}/cluster/authority")
            return bool(answer["changed"] == {"serves": before, "found": row["id"]})

        await until(is_known, f"{node.name} knows of the other authority")
        body = {"host": "a.test"}
        async with cluster.session.post(f"{node.admin_url}/services", json=body) as response:
            assert response.status == 503
            assert (await response.json())["message"].startswith(f"{refusal} {row['id']}")
        await until_serves(cluster, node, "/s")
        status = await cluster.get_json(f"{node.status_url}/status")
        assert status["cluster"]["authority"]["changed"] == row["id"]
    assert await fetch(postgres_database, "SELECT 1 FROM grapevine.log") == []

    for node in cluster.nodes:
        await cluster.post_json(f"{node.admin_url}/cluster/authority/adopt", {})
    await add_sample(cluster, upstream)
    for node in cluster.nodes:
        await until_serves(cluster, node, "/s")
        answer = await cluster.get_json(f"{node.admin_url}/cluster/authority")
        assert (answer["id"], answer["changed"]) == (row["id"], None)
    await cluster.until_view({node.name: "alive" for node in cluster.nodes})
    code, message = await adopt(cluster, first)
    assert (code, message[:27]) == (409, "there is nothing to adopt: ")


async def adopt(cluster: LocalCluster, node: LocalNode) -> tuple[int, str]:
    async with cluster.session.post(f"{node.admin_url}/cluster/authority/adopt") as response:
        return response.status, (await response.json())["message"]
