"""Migrations: bootstrap, two phases, checksums, and commands that refuse to do damage."""

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from store.authority import KeyringRow
from store.errors import MigrationRefused, SchemaMismatch
from store.migrations import catalogue
from store.migrations.catalogue import Migration
from store.migrations.sqlite_runner import SqliteMigrations, statements
from store.read import SCHEMA_VERSION
from store.sqlite import SqliteAuthority

OURS = catalogue.load("sqlite")
LABELS = tuple(item.label for item in OURS)
NEXT = len(OURS) + 1
MORE = f"{NEXT:04d}_more.pre"
NEWER = (
    Migration(NEXT, "pre", "more", "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT;"),
    Migration(NEXT, "post", "more", "-- after the roll-out\nDROP TABLE node;"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authority.db"


def tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    connection.close()
    return {name for (name,) in rows}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_all(path: Path) -> None:
    path.touch()
    path.chmod(0o644)


def test_the_files_lead_to_the_schema_that_this_software_reads() -> None:
    assert max(item.number for item in OURS) == SCHEMA_VERSION


async def test_bootstrap_makes_a_private_file_once(path: Path) -> None:
    first = await SqliteMigrations(path).bootstrap()
    assert first.created
    assert mode(path) == 0o600
    again = await SqliteMigrations(path).bootstrap()
    assert not again.created
    assert again.info == first.info
    authority = SqliteAuthority(path)
    assert await authority.open() == first.info
    await authority.close()


async def test_an_empty_file_with_an_open_mode_becomes_private(path: Path) -> None:
    open_to_all(path)
    assert (await SqliteMigrations(path).bootstrap()).created
    assert mode(path) == 0o600


async def test_of_bootstraps_at_once_one_creates(path: Path) -> None:
    outcomes = await asyncio.gather(*(SqliteMigrations(path).bootstrap() for _ in range(4)))
    assert sorted(item.created for item in outcomes) == [False, False, False, True]
    assert len({item.info.id for item in outcomes}) == 1


async def test_two_authorities_have_nothing_in_common(tmp_path: Path) -> None:
    infos = [(await SqliteMigrations(tmp_path / name).bootstrap()).info for name in ("a", "b")]
    assert infos[0].id != infos[1].id
    assert infos[0].cluster_key != infos[1].cluster_key


async def test_tables_of_something_else_are_refused_by_name(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE kong (id)")
    connection.close()
    with pytest.raises(MigrationRefused, match=r"tables that aren't grapevine's \(kong\)"):
        await SqliteMigrations(path).bootstrap()
    with pytest.raises(SchemaMismatch, match="needs bootstrapping"):
        await SqliteMigrations(path).reset(path.name)
    assert tables(path) == {"kong"}


async def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match=r"none/a\.db: No such file or directory"):
        await SqliteMigrations(tmp_path / "none" / "a.db").bootstrap()


async def test_status_tells_what_was_run_and_what_is_pending(path: Path) -> None:
    before = await SqliteMigrations(path).status()
    assert (before.bootstrapped, before.pending_pre) == (False, LABELS)
    await SqliteMigrations(path).bootstrap()
    after = await SqliteMigrations(path, migrations=(*OURS, *NEWER)).status()
    assert after.bootstrapped
    assert after.applied == LABELS
    assert (after.pending_pre, after.pending_post) == ((MORE,), (f"{NEXT:04d}_more.post",))


async def test_up_runs_before_the_new_version_and_finish_after_it(path: Path) -> None:
    await SqliteMigrations(path).bootstrap()
    newer = SqliteMigrations(path, migrations=(*OURS, *NEWER))
    with pytest.raises(MigrationRefused, match=f"{MORE} must run first"):
        await newer.finish()
    assert await newer.up() == (MORE,)
    assert {"more", "node"} <= tables(path)
    assert await newer.up() == ()
    assert await newer.finish() == (f"{NEXT:04d}_more.post",)
    assert "node" not in tables(path)
    with pytest.raises(SchemaMismatch, match=f"schema {NEXT} is newer than this software's"):
        await SqliteAuthority(path).open()


async def test_the_keyring_has_its_place_once_up_was_run_under_an_open_authority(
    path: Path,
) -> None:
    await SqliteMigrations(path, migrations=OURS[:1]).bootstrap()
    authority = SqliteAuthority(path)
    assert (await authority.open()).schema_version == 1
    row = KeyringRow(1, "author", 7, b"sealed")
    with pytest.raises(SchemaMismatch, match="run 'grapevine migrations up'"):
        await authority.store_keyring(row, 0)
    await SqliteMigrations(path).up()
    assert await authority.store_keyring(row, 0)
    assert await authority.keyring() == row
    await authority.close()


async def test_a_bootstrap_of_a_newer_version_runs_all_files(path: Path) -> None:
    made = await SqliteMigrations(path, migrations=(*OURS, *NEWER)).bootstrap()
    assert made.info.schema_version == NEXT


async def test_a_migration_that_fails_leaves_nothing_behind(path: Path) -> None:
    await SqliteMigrations(path).bootstrap()
    before = tables(path)
    broken = Migration(NEXT, "pre", "broken", "CREATE TABLE half (id);\nCREATE TABLE node (id);")
    with pytest.raises(Exception, match="table node already exists"):
        await SqliteMigrations(path, migrations=(*OURS, broken)).up()
    assert tables(path) == before


async def test_a_file_that_was_changed_after_it_ran_is_refused(path: Path) -> None:
    await SqliteMigrations(path).bootstrap()
    initial, *rest = OURS
    changed = Migration(1, "pre", initial.name, initial.sql + "-- changed\n")
    with pytest.raises(MigrationRefused, match=r"0001_initial\.pre was changed after it ran"):
        await SqliteMigrations(path, migrations=[changed, *rest]).up()


async def test_reset_wants_the_name_typed_and_bootstrap_begins_anew(path: Path) -> None:
    first = (await SqliteMigrations(path).bootstrap()).info
    with pytest.raises(MigrationRefused, match=r"confirm with its name, authority\.db"):
        await SqliteMigrations(path).reset("yes")
    await SqliteMigrations(path).reset("authority.db")
    assert tables(path) == set()
    assert (await SqliteMigrations(path).bootstrap()).info.id != first.id


def test_files_must_be_numbered_without_gaps() -> None:
    with pytest.raises(ValueError, match="must be numbered 1, 2, 3"):
        catalogue.in_order([Migration(NEXT + 1, "pre", "late", ""), *OURS])


def test_a_script_is_split_at_its_statements() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\n"
    assert list(statements(f"SELECT 1;\n{trigger}-- the end\n")) == ["SELECT 1;\n", trigger]
    with pytest.raises(ValueError, match="not a complete statement: SELECT 2"):
        list(statements("SELECT 1;\nSELECT 2"))
