"""From each released schema to today's, and old and new nodes side by side, on both engines."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulations.real.postgres import fetch
from store.authority import Authority, Create
from store.errors import SchemaMismatch
from store.migrations import catalogue
from store.migrations.catalogue import Migration
from store.migrations.postgres_runner import PostgresMigrations
from store.migrations.runner import Migrations
from store.migrations.sqlite_runner import SqliteMigrations
from store.postgres_address import PostgresAddress
from store.read import SCHEMA_VERSION
from tests.postgres_server import PostgresDatabases, dsn_of
from tests.store import schema_snapshots
from tests.store.conftest import ENGINES, Engine, close
from tests.store.history import check_history

ROOT = Path(__file__).resolve().parents[2]
NEXT = SCHEMA_VERSION + 1
ADDS = Migration(NEXT, "pre", "more", "CREATE TABLE more (id integer PRIMARY KEY);")
DROPS = Migration(NEXT, "post", "more", "DROP TABLE removed_node;")


@pytest.fixture(params=ENGINES)
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        engine = Engine(tmp_path / "authority.db")
        yield engine
        await close(engine)
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    address = await databases.create(bootstrapped=False)
    engine = Engine(address)
    yield engine
    await close(engine)
    await databases.drop(address)


def migrations_of(engine: Engine, *added: Migration) -> Migrations:
    """Those of today's version, or of one that has more."""
    if isinstance(engine.address, PostgresAddress):
        files = (*catalogue.load("postgres"), *added)
        return PostgresMigrations(engine.address, migrations=files)
    assert isinstance(engine.address, Path)
    return SqliteMigrations(engine.address, migrations=(*catalogue.load("sqlite"), *added))


async def load(engine: Engine, version: int) -> None:
    if isinstance(engine.address, PostgresAddress):
        await schema_snapshots.load_postgres(version, engine.address)
    else:
        assert isinstance(engine.address, Path)
        schema_snapshots.load_sqlite(version, engine.address)


async def structure(engine: Engine) -> list[tuple[Any, ...]]:
    """Columns, constraints, indexes and triggers."""
    if isinstance(engine.address, Path):
        connection = sqlite3.connect(engine.address)
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2, 3"
        ).fetchall()
        connection.close()
        return rows
    assert isinstance(engine.address, PostgresAddress)
    found: list[tuple[Any, ...]] = []
    for sql in (
        "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'grapevine' ORDER BY 1, 2",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'grapevine'"
        " ORDER BY 1, 2",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'grapevine'::regnamespace ORDER BY 1, 2",
        "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'grapevine'::regnamespace"
        " ORDER BY 1",
    ):
        found.extend(tuple(row) for row in await fetch(engine.address, sql))
    return found


def test_every_schema_has_its_snapshot() -> None:
    """If not: ``python -m tests.store.schema_snapshots``."""
    for engine in ENGINES:
        for version in schema_snapshots.VERSIONS:
            assert schema_snapshots.snapshot(engine, version).exists()


@pytest.mark.parametrize("version", schema_snapshots.VERSIONS)
async def test_an_upgrade_keeps_everything_and_leads_to_todays_schema(
    empty: Engine, version: int
) -> None:
    await load(empty, version)
    before = await empty.connect()
    info, state = await before.open(), await before.state()
    assert info.schema_version == version
    assert state.head.version.revision == 4
    assert len(state.entities) == 2
    await migrations_of(empty).up()
    await migrations_of(empty).finish()
    status = await migrations_of(empty).status()
    assert (status.pending_pre, status.pending_post, status.newer) == ((), (), ())
    after = await empty.connect()
    upgraded = await after.open()
    assert (upgraded.id, upgraded.cluster_key) == (info.id, info.cluster_key)
    assert upgraded.schema_version == SCHEMA_VERSION
    assert await after.state() == state
    assert await check_history(after) == 4
    assert await after.next_generation("8f1f6e4e-0000-4000-8000-000000000001", 0) == 8
    await after.write([Create("services", {"name": "u", "host": "h"})], origin="new")
    led_to = await structure(empty)
    await migrations_of(empty).reset(migrations_of(empty).confirmation)
    await migrations_of(empty).bootstrap()
    assert await structure(empty) == led_to


@pytest.mark.parametrize("version", schema_snapshots.VERSIONS)
async def test_a_node_of_today_works_with_an_older_schema_until_it_is_upgraded(
    empty: Engine, version: int
) -> None:
    await load(empty, version)
    authority = await empty.connect()
    await authority.write([Create("services", {"name": "u", "host": "h"})], origin="new")
    assert await authority.keyring() is None
    assert await authority.removals() == ()
    assert await check_history(authority) == 5


async def write(authority: Authority, name: str) -> None:
    await authority.write([Create("services", {"name": name, "host": "h"})], origin="")


async def test_old_and_new_nodes_work_side_by_side_until_the_roll_out_is_finished(
    engine: Engine,
) -> None:
    newer = migrations_of(engine, ADDS, DROPS)
    running = await engine.connect()
    assert await newer.up() == (ADDS.label,)
    await write(running, "of-an-old-node")
    restarted = await engine.connect()  # an old node that restarts during the roll-out
    assert (await restarted.open()).schema_version == NEXT
    await write(restarted, "of-a-restarted-old-node")
    status = await migrations_of(engine).status()
    assert (status.newer, status.pending_pre, status.pending_post) == ((ADDS.label,), (), ())
    assert await newer.finish() == (DROPS.label,)
    with pytest.raises(SchemaMismatch) as caught:
        await engine.authority().open()
    assert str(caught.value) == (
        f"database schema {NEXT} is newer than this software's ({SCHEMA_VERSION}) and its roll-out"
        " was finished; upgrade grapevine on this node"
    )
    assert await check_history(running) == 2


MIGRATE = """
import asyncio, sys
from tests.store.conftest import Engine
from tests.store.test_schema_upgrades import migrations_of, slow
from tests.postgres_server import parse_dsn
from pathlib import Path
where = sys.argv[1]
engine = Engine(parse_dsn(where) if where.startswith("postgresql://") else Path(where))
print("begins", flush=True)
print(",".join(asyncio.run(migrations_of(engine, slow(where)).up())), flush=True)
"""


def slow(where: str) -> Migration:
    """One that takes a while, unless somebody kills it."""
    work = "SELECT pg_sleep(1);"
    if not where.startswith("postgresql://"):
        counting = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)"
        work = f"INSERT INTO slow {counting} SELECT i FROM n;"
    sql = f"CREATE TABLE slow (id integer PRIMARY KEY);\n{work}\n"
    return Migration(NEXT, "pre", "slow", sql)


async def migrator(engine: Engine) -> asyncio.subprocess.Process:
    where = dsn_of(engine.address) if isinstance(engine.address, PostgresAddress) else engine.where
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MIGRATE, where),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def test_of_processes_that_migrate_at_once_one_does_it_and_the_others_wait(
    engine: Engine,
) -> None:
    processes = await asyncio.gather(*(migrator(engine) for _ in range(3)))
    printed = [await process.communicate() for process in processes]
    outcomes = sorted(output.decode().strip() for output, _ in printed)
    assert outcomes == ["", "", f"{NEXT:04d}_slow.pre"], printed


async def test_a_migrator_that_is_killed_has_done_nothing_and_the_next_does_it(
    engine: Engine,
) -> None:
    first = await migrator(engine)
    if isinstance(engine.address, PostgresAddress):
        async with asyncio.timeout(20):
            running = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1)%'"
            running += " AND pid <> pg_backend_pid() AND datname = current_database()"
            while not (await fetch(engine.address, running))[0][0]:
                await asyncio.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    await first.communicate()
    status = await migrations_of(engine, slow(engine.where)).status()
    assert status.pending_pre == (f"{NEXT:04d}_slow.pre",)
    second = await migrator(engine)
    output, errors = await second.communicate()
    assert output.decode().strip() == f"{NEXT:04d}_slow.pre", errors.decode()
