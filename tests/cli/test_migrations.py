"""``grapevine migrations`` on a real SQLite file and in a real Postgres."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli import main
from node.demo.local_postgres import LocalPostgres
from store.migrations import catalogue
from store.migrations.catalogue import Migration
from store.migrations.sqlite_runner import SqliteMigrations
from tests.postgres_server import PostgresDatabases


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "node1"


def migrations(prefix: Path, *words: str) -> Result:
    words = ("migrations", words[0], "-p", str(prefix), *words[1:])
    return CliRunner().invoke(main, words, catch_exceptions=False)


def test_bootstrap_makes_prefix_and_database_once(prefix: Path) -> None:
    first = migrations(prefix, "bootstrap")
    assert first.exit_code == 0
    assert first.output.startswith(f"database bootstrapped: {prefix}/authority.db (authority ")
    assert stat.S_IMODE(prefix.stat().st_mode) == 0o700
    assert stat.S_IMODE((prefix / "authority.db").stat().st_mode) == 0o600
    second = migrations(prefix, "bootstrap")
    assert second.exit_code == 0
    assert second.output == first.output.replace("bootstrapped", "already bootstrapped")


def test_status_names_the_command_to_type_until_all_is_done(prefix: Path) -> None:
    before = migrations(prefix, "status")
    assert (before.exit_code, before.output) == (
        1,
        "database needs bootstrapping; run 'grapevine migrations bootstrap'\n",
    )
    migrations(prefix, "bootstrap")
    after = migrations(prefix, "status")
    assert (after.exit_code, after.output) == (0, "database is up to date\n")


def test_list_tells_run_from_pending(prefix: Path) -> None:
    assert {line.split()[0] for line in migrations(prefix, "list").output.splitlines()} == {
        "pending"
    }
    migrations(prefix, "bootstrap")
    assert {line.split()[0] for line in migrations(prefix, "list").output.splitlines()} == {"run"}


def test_a_newer_version_that_is_rolled_out_is_told_from_one_that_is_finished(
    prefix: Path,
) -> None:
    migrations(prefix, "bootstrap")
    number = len(catalogue.load("sqlite")) + 1
    adds = Migration(number, "pre", "more", "CREATE TABLE more (id INTEGER PRIMARY KEY);")
    drops = Migration(number, "post", "more", "DROP TABLE more;")
    files = (*catalogue.load("sqlite"), adds, drops)
    newer = SqliteMigrations(prefix / "authority.db", migrations=files)
    asyncio.run(newer.up())
    rolling = migrations(prefix, "status")
    assert rolling.exit_code == 0
    assert rolling.output == (
        f"a newer version is being rolled out ({adds.label}); this one may run until"
        " 'grapevine migrations finish' is run with the newer one\n"
    )
    assert f"newer    {adds.label}" in migrations(prefix, "list").output
    asyncio.run(newer.finish())
    finished = migrations(prefix, "status")
    assert finished.exit_code == 1
    assert finished.output == (
        f"migrated by a newer version ({adds.label}, {drops.label}); upgrade this one\n"
    )


@pytest.mark.parametrize("command", ["up", "finish"])
def test_up_and_finish_want_a_bootstrapped_database(command: str, prefix: Path) -> None:
    refused = migrations(prefix, command)
    assert refused.exit_code == 1
    assert "run 'grapevine migrations bootstrap'" in refused.stderr
    migrations(prefix, "bootstrap")
    done = migrations(prefix, command)
    assert (done.exit_code, done.output) == (0, "nothing is pending\n")


def test_reset_wants_the_files_name(prefix: Path) -> None:
    migrations(prefix, "bootstrap")
    assert migrations(prefix, "reset").exit_code == 2
    assert migrations(prefix, "reset", "--confirm", "yes").exit_code == 1
    assert migrations(prefix, "status").exit_code == 0
    assert migrations(prefix, "reset", "--confirm", "authority.db").exit_code == 0
    assert "needs bootstrapping" in migrations(prefix, "status").output


def test_a_file_of_somebody_elses_is_refused(prefix: Path) -> None:
    prefix.mkdir()
    with sqlite3.connect(prefix / "authority.db") as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    refused = migrations(prefix, "bootstrap")
    assert refused.exit_code == 1
    assert "holds tables that aren't grapevine's (theirs)" in refused.stderr


def test_a_database_that_cant_be_used_is_tried_for_as_long_as_told(prefix: Path) -> None:
    prefix.mkdir()
    (prefix / "authority.db").write_bytes(b"no database at all" * 100)
    refused = migrations(prefix, "bootstrap", "--db-timeout", "0.5")
    assert refused.exit_code == 1
    waiting, failed = refused.stderr.splitlines()
    assert waiting.startswith(f"waiting: {prefix}/authority.db: ")
    assert failed.startswith(f"error: {prefix}/authority.db: ")


def test_a_prefix_that_cant_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = migrations(tmp_path / "file" / "node1", "bootstrap")
    assert refused.exit_code == 1
    assert "set prefix to a writable folder" in refused.stderr


class TestPostgres:
    @pytest.fixture
    def keys(
        self, postgres_databases: PostgresDatabases, prefix: Path
    ) -> Iterator[tuple[str, ...]]:
        """The flags that name an empty database."""
        address = asyncio.run(postgres_databases.create(bootstrapped=False))
        (host,) = address.hosts
        named = {
            "pg_host": str(host),
            "pg_database": address.database,
            "pg_user": address.user,
            "pg_password": address.password,
        }
        yield tuple(word for key, value in named.items() for word in ("--set", f"{key}={value}"))
        asyncio.run(postgres_databases.drop(address))

    def test_bootstrap_status_and_reset_name_schema_and_database(
        self, prefix: Path, keys: tuple[str, ...]
    ) -> None:
        assert migrations(prefix, "status", *keys).exit_code == 1
        first = migrations(prefix, "bootstrap", *keys)
        assert (first.exit_code, first.stderr) == (0, "")
        assert first.output.startswith("database bootstrapped: schema grapevine of database test_")
        second = migrations(prefix, "bootstrap", *keys)
        assert second.output == first.output.replace("bootstrapped", "already bootstrapped")
        assert migrations(prefix, "status", *keys).output == "database is up to date\n"
        assert migrations(prefix, "up", *keys).output == "nothing is pending\n"
        name = keys[3].removeprefix("pg_database=")
        refused = migrations(prefix, "reset", *keys, "--confirm", "authority.db")
        assert refused.exit_code == 1
        assert f"confirm with the database's name, {name}" in refused.stderr
        done = migrations(prefix, "reset", *keys, "--confirm", name)
        assert done.output.startswith("database emptied: schema grapevine of database test_")
        assert "needs bootstrapping" in migrations(prefix, "status", *keys).output
        assert not prefix.exists()

    def test_a_server_that_is_not_there_is_tried_for_as_long_as_told(self, prefix: Path) -> None:
        words = ("--set", "pg_host=127.0.0.1:1", "--set", "pg_password=hunter2")
        refused = migrations(prefix, "bootstrap", "--db-timeout", "0.5", *words)
        reason = "database kong at 127.0.0.1:1: connection refused; start Postgres, or check "
        reason += "pg_host, pg_port"
        assert refused.stderr.splitlines() == [f"waiting: {reason}", f"error: {reason}"]
        assert refused.exit_code == 1

    def test_a_server_that_comes_late_is_waited_for(
        self, prefix: Path, own_postgres: LocalPostgres
    ) -> None:
        own_postgres.stop()
        start = threading.Timer(0.3, own_postgres.start)
        start.start()
        address = own_postgres.address()
        words = [f"pg_host=127.0.0.1:{own_postgres.port}", "pg_database=postgres"]
        words += [f"pg_user={address.user}", f"pg_password={address.password}"]
        flags = [word for assignment in words for word in ("--set", assignment)]
        done = migrations(prefix, "bootstrap", *flags)
        start.join()
        assert done.exit_code == 0
        assert done.stderr.startswith("waiting: database postgres at 127.0.0.1:")
