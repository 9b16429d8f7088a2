"""Keeps what a database of each released schema looks like, with entities of that time in it.

``python -m tests.store.schema_snapshots`` writes those that are missing, and leaves the others as
they are: run it when a migration was added, and commit what it wrote. It wants pg_dump.
"""

import asyncio
import os
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from simulations.real.postgres import execute
from store.authority import Authority, Create, Delete, Patch
from store.migrations import catalogue
from store.migrations.postgres_runner import PostgresMigrations
from store.migrations.sqlite_runner import SqliteMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from store.read import SCHEMA_VERSION
from store.sqlite import SqliteAuthority
from tests.postgres_server import running_server

FOLDER = Path(__file__).parent / "schemas"
VERSIONS = range(1, SCHEMA_VERSION + 1)


def snapshot(engine: str, version: int) -> Path:
    return FOLDER / engine / f"{version:04d}.sql"


def load_sqlite(version: int, path: Path) -> None:
    """A file as it was at that schema."""
    connection = sqlite3.connect(path)
    connection.executescript(snapshot("sqlite", version).read_text())
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


async def load_postgres(version: int, empty: PostgresAddress) -> None:
    """A database as it was at that schema."""
    await execute(empty, snapshot("postgres", version).read_text())


async def fill(authority: Authority) -> None:
    """Something of everything that a migration might forget."""
    await authority.open()
    await authority.write(
        [
            Create("services", {"name": "s", "host": "example.com", "tags": ["a", "b"]}),
            Create("routes", {"name": "r", "paths": ["/r"], "service": {"name": "s"}}),
        ],
        origin="old",
    )
    await authority.write([Create("services", {"name": "t", "host": "h"})], origin="old")
    await authority.write([Patch("services", "s", {"retries": 1})], origin="old")
    await authority.write([Delete("services", "t")], origin="old")
    await authority.next_generation("8f1f6e4e-0000-4000-8000-000000000001", 6)
    await authority.close()


async def write_sqlite(version: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "authority.db"
        files = [item for item in catalogue.load("sqlite") if item.number <= version]
        await SqliteMigrations(path, migrations=files).bootstrap()
        await fill(SqliteAuthority(path))
        connection = sqlite3.connect(path)
        script = "\n".join(connection.iterdump()) + "\n"
        connection.close()
        return script


async def write_postgres(version: int, address: PostgresAddress) -> str:
    migrations = PostgresMigrations(
        address,
        migrations=[item for item in catalogue.load("postgres") if item.number <= version],
    )
    await migrations.bootstrap()
    await fill(PostgresAuthority(address))
    dumped = await asyncio.to_thread(dump, address)
    await migrations.reset(address.database)
    wanted = (line for line in dumped.splitlines() if not line.startswith(("--", "\\")))
    return "\n".join(line for line in wanted if line) + "\n"


def dump(address: PostgresAddress) -> str:
    """What pg_dump says of our schema."""
    (host,) = address.hosts
    options = ["--no-owner", "--no-privileges", "--inserts", "--no-comments", "-n", address.schema]
    server = ["-h", host.host, "-p", str(host.port), "-U", address.user]
    done = subprocess.run(
        ["pg_dump", *options, *server, address.database],
        env={**os.environ, "PGPASSWORD": address.password},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def main() -> None:
    for engine in ("sqlite", "postgres"):
        (FOLDER / engine).mkdir(parents=True, exist_ok=True)
    for version in VERSIONS:
        path = snapshot("sqlite", version)
        if not path.exists():
            path.write_text(asyncio.run(write_sqlite(version)))
    if all(snapshot("postgres", version).exists() for version in VERSIONS):
        return
    with running_server() as server:
        for version in VERSIONS:
            path = snapshot("postgres", version)
            if not path.exists():
                path.write_text(asyncio.run(write_postgres(version, server.address())))


if __name__ == "__main__":
    main()
