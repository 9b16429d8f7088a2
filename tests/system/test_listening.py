"""A commit that no gossip tells of is heard of at the authority itself."""

import time
from pathlib import Path

import pytest

from node.demo.cluster import LocalCluster
from node.demo.local_postgres import settings_for
from store.authority import Authority, Create
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from store.sqlite import SqliteAuthority
from tests.system.conftest import StartCluster

NEVER = "3600"
"""Seconds between polls: what arrives wasn't polled."""


async def commit_beside(authority: Authority) -> None:
    """Commit as a node does that dies before it can push."""
    await authority.open()
    await authority.write([Create("services", {"name": "beside", "host": "a.test"})], origin="")
    await authority.close()


async def until_all_have_it(cluster: LocalCluster) -> float:
    begun = time.monotonic()
    await cluster.until_revision("1.1")
    return time.monotonic() - begun


@pytest.mark.long
async def test_by_listen_on_postgres(
    postgres_database: PostgresAddress, start_cluster: StartCluster
) -> None:
    settings = {**settings_for(postgres_database), "db_update_frequency": NEVER}
    cluster = await start_cluster(5, settings)
    await commit_beside(PostgresAuthority(postgres_database))
    assert await until_all_have_it(cluster) < 5.0


async def test_by_the_data_version_on_sqlite(start_cluster: StartCluster, tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    settings = {"database": "sqlite", "sqlite_path": str(path), "db_update_frequency": NEVER}
    cluster = await start_cluster(2, settings)
    await commit_beside(SqliteAuthority(path))
    assert await until_all_have_it(cluster) < 5.0
