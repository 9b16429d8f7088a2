"""Migrations in a Postgres schema: as on SQLite, and what a shared database asks besides."""

import asyncio
from dataclasses import replace

import pytest

from simulations.real.postgres import execute, fetch
from store.authority import KeyringRow
from store.errors import AuthorityUnavailable, MigrationRefused, SchemaMismatch
from store.migrations import catalogue
from store.migrations.catalogue import Migration
from store.migrations.postgres_runner import TABLES, PostgresMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost
from store.read import SCHEMA_VERSION

OURS = catalogue.load("postgres")
LABELS = tuple(item.label for item in OURS)
NEXT = len(OURS) + 1
MORE = f"{NEXT:04d}_more.pre"
NEWER = (
    Migration(NEXT, "pre", "more", "CREATE TABLE more (id integer PRIMARY KEY);"),
    Migration(NEXT, "post", "more", "-- after the roll-out\nDROP TABLE node;"),
)


@pytest.fixture
def database(empty_postgres_database: PostgresAddress) -> PostgresAddress:
    return empty_postgres_database


async def tables(address: PostgresAddress) -> set[str]:
    rows = await fetch(
        address, "SELECT tablename FROM pg_tables WHERE schemaname = $1", address.schema
    )
    return {row[0] for row in rows}


async def schema_exists(address: PostgresAddress) -> bool:
    rows = await fetch(address, "SELECT 1 FROM pg_namespace WHERE nspname = $1", address.schema)
    return bool(rows)


def test_the_files_lead_to_the_schema_that_this_software_reads() -> None:
    assert max(item.number for item in OURS) == SCHEMA_VERSION


def test_both_engines_have_the_same_files() -> None:
    sqlite = catalogue.load("sqlite")
    assert [item.label for item in OURS] == [item.label for item in sqlite]


async def test_bootstrap_makes_the_schema_and_its_tables_once(database: PostgresAddress) -> None:
    first = await PostgresMigrations(database).bootstrap()
    assert first.created
    assert await tables(database) == set(TABLES)
    again = await PostgresMigrations(database).bootstrap()
    assert not again.created
    assert again.info == first.info
    authority = PostgresAuthority(database)
    assert await authority.open() == first.info
    await authority.close()


async def test_of_bootstraps_at_once_one_creates(database: PostgresAddress) -> None:
    outcomes = await asyncio.gather(*(PostgresMigrations(database).bootstrap() for _ in range(4)))
    assert sorted(item.created for item in outcomes) == [False, False, False, True]
    assert len({item.info.id for item in outcomes}) == 1


async def test_two_schemas_are_two_authorities(database: PostgresAddress) -> None:
    other = replace(database, schema="Other one")
    infos = [(await PostgresMigrations(each).bootstrap()).info for each in (database, other)]
    assert infos[0].id != infos[1].id
    assert infos[0].cluster_key != infos[1].cluster_key
    await PostgresMigrations(other).reset(other.database)
    assert await tables(database) == set(TABLES)
    assert not await schema_exists(other)


async def test_tables_of_something_else_are_refused_by_name(database: PostgresAddress) -> None:
    await execute(database, "CREATE SCHEMA grapevine; CREATE TABLE grapevine.theirs (id integer)")
    with pytest.raises(MigrationRefused, match=r"tables that aren't grapevine's \(theirs\)"):
        await PostgresMigrations(database).bootstrap()
    with pytest.raises(SchemaMismatch, match="needs bootstrapping"):
        await PostgresMigrations(database).reset(database.database)
    assert await tables(database) == {"theirs"}


async def test_a_schema_made_by_the_administrator_is_enough(
    database: PostgresAddress, postgres_admin: PostgresAddress
) -> None:
    admin = replace(postgres_admin, database=database.database)
    await execute(
        admin,
        f'ALTER DATABASE {database.database} OWNER TO "{admin.user}";'
        f'CREATE SCHEMA grapevine; GRANT ALL ON SCHEMA grapevine TO "{database.user}"',
    )
    with pytest.raises(MigrationRefused, match=f"permission denied .*grant it to {database.user}"):
        await PostgresMigrations(replace(database, schema="another")).bootstrap()
    assert (await PostgresMigrations(database).bootstrap()).created
    await PostgresMigrations(database).reset(database.database)
    assert await tables(database) == set()
    assert await schema_exists(database)


async def test_status_tells_what_was_run_and_what_is_pending(database: PostgresAddress) -> None:
    before = await PostgresMigrations(database).status()
    assert (before.bootstrapped, before.pending_pre) == (False, LABELS)
    assert not await schema_exists(database)
    await PostgresMigrations(database).bootstrap()
    after = await PostgresMigrations(database, migrations=(*OURS, *NEWER)).status()
    assert after.bootstrapped
    assert after.applied == LABELS
    assert (after.pending_pre, after.pending_post) == ((MORE,), (f"{NEXT:04d}_more.post",))


async def test_up_runs_before_the_new_version_and_finish_after_it(
    database: PostgresAddress,
) -> None:
    await PostgresMigrations(database).bootstrap()
    newer = PostgresMigrations(database, migrations=(*OURS, *NEWER))
    with pytest.raises(MigrationRefused, match=f"{MORE} must run first"):
        await newer.finish()
    both = await asyncio.gather(newer.up(), newer.up())
    assert sorted(both) == [(), (MORE,)]
    assert {"more", "node"} <= await tables(database)
    assert await newer.finish() == (f"{NEXT:04d}_more.post",)
    assert "node" not in await tables(database)
    authority = PostgresAuthority(database)
    with pytest.raises(SchemaMismatch, match=f"schema {NEXT} is newer than this software's"):
        await authority.open()
    await authority.close()
    with pytest.raises(MigrationRefused, match="migrated by a newer version"):
        await PostgresMigrations(database).reset(database.database)


async def test_the_keyring_has_its_place_once_up_was_run_under_an_open_authority(
    database: PostgresAddress,
) -> None:
    await PostgresMigrations(database, migrations=OURS[:1]).bootstrap()
    authority = PostgresAuthority(database)
    assert (await authority.open()).schema_version == 1
    row = KeyringRow(1, "author", 7, b"sealed")
    with pytest.raises(SchemaMismatch, match="run 'grapevine migrations up'"):
        await authority.store_keyring(row, 0)
    await PostgresMigrations(database).up()
    assert await authority.store_keyring(row, 0)
    assert await authority.keyring() == row
    await authority.close()


async def test_a_migration_that_fails_leaves_nothing_behind(database: PostgresAddress) -> None:
    await PostgresMigrations(database).bootstrap()
    broken = Migration(
        NEXT, "pre", "broken", "CREATE TABLE half (id int);\nCREATE TABLE node (id int);"
    )
    with pytest.raises(MigrationRefused, match='relation "node" already exists'):
        await PostgresMigrations(database, migrations=(*OURS, broken)).up()
    assert await tables(database) == set(TABLES)


async def test_a_file_that_was_changed_after_it_ran_is_refused(database: PostgresAddress) -> None:
    await PostgresMigrations(database).bootstrap()
    initial, *rest = OURS
    changed = Migration(1, "pre", initial.name, initial.sql + "-- changed\n")
    with pytest.raises(MigrationRefused, match=r"0001_initial\.pre was changed after it ran"):
        await PostgresMigrations(database, migrations=[changed, *rest]).up()


async def test_reset_wants_the_databases_name_and_bootstrap_begins_anew(
    database: PostgresAddress,
) -> None:
    first = (await PostgresMigrations(database).bootstrap()).info
    with pytest.raises(MigrationRefused, match=f"the database's name, {database.database}"):
        await PostgresMigrations(database).reset("yes")
    assert await tables(database) == set(TABLES)
    await PostgresMigrations(database).reset(database.database)
    assert not await schema_exists(database)
    assert (await PostgresMigrations(database).bootstrap()).info.id != first.id


async def test_reset_leaves_what_others_put_beside_our_tables(database: PostgresAddress) -> None:
    await PostgresMigrations(database).bootstrap()
    await execute(database, "CREATE TABLE grapevine.theirs (id integer)")
    await PostgresMigrations(database).reset(database.database)
    assert await tables(database) == {"theirs"}


async def test_reset_stops_at_what_others_built_upon_our_tables(database: PostgresAddress) -> None:
    await PostgresMigrations(database).bootstrap()
    await execute(database, "CREATE VIEW public.theirs AS SELECT kind FROM grapevine.entity")
    with pytest.raises(
        MigrationRefused, match=r"view public\.theirs depends .* remove those first"
    ):
        await PostgresMigrations(database).reset(database.database)
    assert await tables(database) == set(TABLES)


async def test_a_server_that_is_not_there_is_named(database: PostgresAddress) -> None:
    nowhere = replace(database, hosts=(PostgresHost("127.0.0.1", 1),))
    with pytest.raises(AuthorityUnavailable, match=r"127\.0\.0\.1:1: connection refused"):
        await PostgresMigrations(nowhere).status()
