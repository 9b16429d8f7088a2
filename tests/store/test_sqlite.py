"""What is SQLite's own: the file, its locks, and what an operator reads when it isn't right."""

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from store import sqlite, sqlite_connection
from store.authority import Committed, Create, Patch
from store.errors import AuthorityUnavailable, OutcomeUnknown, SchemaMismatch
from store.migrations.sqlite_runner import SqliteMigrations
from store.read import SCHEMA_VERSION
from store.sqlite import SqliteAuthority
from tests.store.history import check_history

BOOTSTRAP = "database needs bootstrapping; run 'grapevine migrations bootstrap'"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "with blanks & 100%?.db"
    await SqliteMigrations(path).bootstrap()
    return path


async def test_a_missing_file_needs_bootstrapping_and_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(SchemaMismatch, match=BOOTSTRAP):
        await SqliteAuthority(path).open()
    assert not path.exists()


async def test_an_empty_file_needs_bootstrapping(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(SchemaMismatch, match=BOOTSTRAP):
        await SqliteAuthority(path).open()


async def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database" * 100)
    with pytest.raises(AuthorityUnavailable, match=r"notes\.txt: file is not a database"):
        await SqliteAuthority(path).open()


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (0, "older than this software's (1); run 'grapevine migrations up'"),
        (SCHEMA_VERSION + 1, "upgrade grapevine on this node"),
    ],
)
async def test_another_schema_says_what_to_do(path: Path, version: int, text: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE authority SET schema_version = ?", (version,))
    connection.close()
    with pytest.raises(SchemaMismatch) as caught:
        await SqliteAuthority(path).open()
    assert text in str(caught.value)


async def test_the_file_and_its_log_are_for_the_owner_only(path: Path) -> None:
    authority = SqliteAuthority(path)
    await authority.open()
    await authority.write([Create("services", {"host": "h"})], origin="")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3  # with the write-ahead log and its index
    await authority.close()


async def test_what_is_answered_is_on_the_disk(path: Path) -> None:
    connection = sqlite_connection.connect(path)
    settings = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    connection.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_reads_go_on_beside_a_write_that_is_held_up(path: Path) -> None:
    authority = SqliteAuthority(path)
    await authority.open()
    await authority.write([Create("services", {"name": "s", "host": "h"})], origin="")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(
        authority.write([Patch("services", "s", {"retries": 1})], origin="")
    )
    entity = await authority.get("services", "s")
    assert entity is not None
    assert entity["retries"] == 5
    assert not writing.done()
    other.execute("ROLLBACK")
    other.close()
    assert (await writing).head.version.revision == 2
    await authority.close()


async def test_a_lock_that_is_never_given_back_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS_MAX", 0.05)
    authority = SqliteAuthority(path)
    await authority.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(AuthorityUnavailable, match=r"is locked by another process for over 0\.05"):
        await authority.write([Create("services", {"host": "h"})], origin="")
    other.close()
    await authority.write([Create("services", {"host": "h"})], origin="")
    await authority.close()


class FailingCommit:
    """A connection whose first COMMIT reports an I/O error, before or after it took effect."""

    failed = False
    """Whether any of a test's connections has."""

    def __init__(self, real: sqlite3.Connection, *, takes_effect: bool, dead: bool) -> None:
        self.real = real
        self.takes_effect = takes_effect
        self.dead = dead

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if FailingCommit.failed and self.dead and sql != "ROLLBACK":
            raise sqlite3.OperationalError("disk I/O error")
        if sql == "COMMIT" and self.real.total_changes and not FailingCommit.failed:
            FailingCommit.failed = True
            if self.takes_effect:
                self.real.execute("COMMIT")
            raise sqlite3.OperationalError("disk I/O error")
        return self.real.execute(sql, parameters)

    def close(self) -> None:
        self.real.close()


@pytest.mark.parametrize("takes_effect", [False, True])
@pytest.mark.parametrize("dead", [False, True])
async def test_a_commit_that_fails_is_looked_up(
    path: Path, takes_effect: bool, dead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(path: Path, *, read_only: bool = False) -> FailingCommit:
        real = sqlite_connection.connect(path, read_only=read_only)
        return FailingCommit(real, takes_effect=takes_effect, dead=dead)

    monkeypatch.setattr(FailingCommit, "failed", False)
    monkeypatch.setattr(sqlite, "connect", connect)
    authority = SqliteAuthority(path)
    await authority.open()
    services = [[Create("services", {"name": name, "host": "h"})] for name in "ab"]
    writes = [authority.write(service, origin="") for service in services]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert FailingCommit.failed
    if dead:
        assert isinstance(outcomes[0], OutcomeUnknown)
        assert len(outcomes[0].write_id) == 16
    else:
        heads = [item.head.version.revision for item in outcomes if isinstance(item, Committed)]
        assert heads == [1, 2]
        assert await check_history(authority) == 2
    await authority.close()


async def test_a_closed_authority_is_unavailable_and_may_be_opened_again(path: Path) -> None:
    authority = SqliteAuthority(path)
    with pytest.raises(AuthorityUnavailable, match="isn't open"):
        await authority.head()
    first = await authority.open()
    await authority.close()
    assert await authority.open() == first
    await authority.close()


async def test_after_a_reset_a_running_node_is_told_what_to_do(path: Path) -> None:
    authority = SqliteAuthority(path)
    await authority.open()
    await SqliteMigrations(path).reset(path.name)
    with pytest.raises(SchemaMismatch, match=BOOTSTRAP):
        await authority.write([Create("services", {"host": "h"})], origin="")
    await authority.close()
