"""Backup of the authority under running nodes, and its restore, as docs/operations.md says."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from node.demo.cluster import LocalCluster
from node.demo.local_postgres import find_binaries, settings_for
from node.demo.upstream import SampleUpstream
from simulations.real.postgres import execute, fetch
from store.postgres_address import PostgresAddress
from store.sqlite import SqliteAuthority
from tests.store.history import check_history
from tests.system.conftest import StartCluster
from tests.system.test_authority_away import add_sample, until_serves


def run_tool(address: PostgresAddress, program: str, *arguments: str | Path) -> None:
    """A client program of Postgres', as an operator types it."""
    (host,) = address.hosts
    subprocess.run(
        [
            *(find_binaries() / program, "-h", host.host, "-p", str(host.port)),
            *("-U", address.user, *arguments),
        ],
        env={**os.environ, "PGPASSWORD": address.password, "PGSSLMODE": "disable"},
        capture_output=True,
        check=True,
    )


async def authority_id(cluster: LocalCluster) -> str:
    status = await cluster.get_json(f"{cluster.nodes[0].status_url}/status")
    found: str = status["cluster"]["authority"]["id"]
    return found


async def add(cluster: LocalCluster, name: str) -> None:
    await cluster.post_json(
        f"{cluster.nodes[0].admin_url}/services/sample/routes",
        {"name": name, "paths": [f"/{name}"]},
    )


async def restored_cluster_is_that_of_the_backup(
    cluster: LocalCluster,
    backup: Callable[[], Awaitable[None]],
    restore: Callable[[], Awaitable[None]],
) -> None:
    """Back up between two writes, lose everything, restore: the first write is there, the second
    isn't, and everything goes on."""
    await add(cluster, "before")
    before = await authority_id(cluster)
    await backup()
    await add(cluster, "after")
    for node in cluster.nodes:
        await until_serves(cluster, node, "/after")
    for node in cluster.nodes:
        assert await node.stop() == 0
    await restore()
    for node in cluster.nodes:
        await node.start()
        await node.until_ready(cluster.session)
    assert await authority_id(cluster) == before
    for node in cluster.nodes:
        await until_serves(cluster, node, "/before")
        async with cluster.session.get(f"{node.proxy_url}/after") as response:
            assert response.status == 404
    await add(cluster, "later")
    for node in cluster.nodes:
        await until_serves(cluster, node, "/later")


@pytest.mark.long
async def test_a_postgres_dump_is_restored(
    postgres_database: PostgresAddress,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
    tmp_path: Path,
) -> None:
    cluster = await start_cluster(2, settings_for(postgres_database))
    await add_sample(cluster, upstream)
    dump = tmp_path / "grapevine.dump"

    async def backup() -> None:
        run_tool(
            postgres_database, "pg_dump",
            "-Fc", "-n", "grapevine", "-f", dump, postgres_database.database,
        )  # fmt: skip

    async def restore() -> None:
        await execute(postgres_database, "DROP SCHEMA grapevine CASCADE")
        run_tool(postgres_database, "pg_restore", "-d", postgres_database.database, dump)

    await restored_cluster_is_that_of_the_backup(cluster, backup, restore)


async def test_a_postgres_dump_is_restored_into_another_database(
    postgres_database: PostgresAddress,
    empty_postgres_database: PostgresAddress,
    tmp_path: Path,
) -> None:
    dump = tmp_path / "grapevine.dump"
    name = postgres_database.database
    run_tool(postgres_database, "pg_dump", "-Fc", "-n", "grapevine", "-f", dump, name)
    target = replace(empty_postgres_database)
    run_tool(target, "pg_restore", "--no-owner", "-d", target.database, dump)
    query = "SELECT id FROM grapevine.authority"
    assert await fetch(target, query) == await fetch(postgres_database, query)


@pytest.mark.long
async def test_a_copy_of_the_sqlite_file_is_restored(
    start_cluster: StartCluster, upstream: SampleUpstream, tmp_path: Path
) -> None:
    file = tmp_path / "data" / "authority.db"
    file.parent.mkdir()
    cluster = await start_cluster(2, {"database": "sqlite", "sqlite_path": str(file)})
    await add_sample(cluster, upstream)
    copy = tmp_path / "backup.db"

    async def backup() -> None:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)

    async def restore() -> None:
        shutil.rmtree(file.parent)
        file.parent.mkdir()
        shutil.copy(copy, file)

    await restored_cluster_is_that_of_the_backup(cluster, backup, restore)
    authority = SqliteAuthority(file)
    await authority.open()
    await check_history(authority)
    await authority.close()
