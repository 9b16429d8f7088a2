"""The private server of the demo and the tests: it starts, it dies, and it leaves nothing."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.demo import local_postgres
from node.demo.local_postgres import LocalPostgres, PostgresNotStarted, find_binaries
from store.errors import AuthorityUnavailable
from store.postgres_connection import connect
from tests.postgres_server import running_server

ROOT = Path(__file__).resolve().parents[2]

STARTED_AND_LEFT = """
from node.demo.local_postgres import LocalPostgres
server = LocalPostgres()
server.create()
server.start()
print(server.home, (server.data / "postmaster.pid").read_text().split()[0], flush=True)
input()
"""


@pytest.fixture
def own_postgres() -> Iterator[LocalPostgres]:
    """One that makes its files itself, as the demo's does."""
    with running_server(LocalPostgres) as server:
        yield server


async def test_it_takes_connections_with_a_password_only_until_it_is_removed(
    own_postgres: LocalPostgres,
) -> None:
    address = await own_postgres.create_database("mine")
    connection, _ = await connect(address)
    assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = 'mine'")
    await connection.close()
    stranger = replace(address, password="wrong")
    with pytest.raises(AuthorityUnavailable, match="password authentication failed"):
        await connect(stranger)
    own_postgres.remove()
    assert not own_postgres.running
    assert not own_postgres.home.exists()


async def test_it_starts_again_on_its_port_after_a_stop_and_a_crash(
    own_postgres: LocalPostgres,
) -> None:
    for end in (own_postgres.stop, own_postgres.kill):
        port = own_postgres.port
        end()
        assert not own_postgres.running
        own_postgres.start()
        assert own_postgres.port == port
        connection, _ = await connect(own_postgres.address())
        await connection.close()


async def test_it_ends_with_whoever_started_it() -> None:
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTED_AND_LEFT),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert starter.stdout is not None
    home, pid = (await starter.stdout.readline()).split()
    starter.send_signal(signal.SIGKILL)
    await starter.wait()
    async with asyncio.timeout(20):
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(int(pid), 0)
                await asyncio.sleep(0.02)
    shutil.rmtree(os.fsdecode(home))


def test_settings_that_it_refuses_are_told() -> None:
    server = LocalPostgres({"shared_buffers": "none"})
    server.create()
    with pytest.raises(PostgresNotStarted, match='invalid value for parameter "shared_buffers"'):
        server.start()
    server.remove()


def test_a_machine_without_binaries_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_postgres, "_PACKAGED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PostgresNotStarted, match="install the package postgresql"):
        find_binaries()
