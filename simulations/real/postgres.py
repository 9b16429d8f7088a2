"""The authority of a run: a Postgres with a streaming standby, and what operators do to them.

Two places, each with a fixed address that the nodes know; which of them has the primary changes.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from node.demo.local_postgres import SUPERUSER, LocalPostgres, PostgresNotStarted
from simulations.real.relay import free_port
from store.postgres_address import PostgresAddress, PostgresHost

DATABASE = "kong"
STREAM_SECONDS = 30.0
CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.05
STREAMING = "SELECT state FROM pg_stat_replication"
SETTINGS = {"wal_keep_size": "64MB", "wal_receiver_status_interval": "1s"}


class Server(LocalPostgres):
    """A server at an address of the run's network."""

    def __init__(
        self,
        host: str,
        port: int,
        folder: Path | None = None,
        primary: LocalPostgres | None = None,
    ) -> None:
        """``folder`` takes its log; a ``primary``, which runs, is what it copies and follows."""
        super().__init__({**SETTINGS, "listen_addresses": host})
        self.host = host
        self.port = port
        self._folder = folder
        self._primary = primary

    @property
    def log(self) -> Path:
        if self._folder is None:
            return super().log
        return self._folder / f"postgres-{self.port}.log"

    def address(self, database: str = "postgres") -> PostgresAddress:
        hosts = (PostgresHost(self.host, self.port),)
        return PostgresAddress(hosts, database, SUPERUSER, self.password)

    def pid(self) -> int:
        """Of its first process."""
        return self._pid()

    def create(self) -> None:
        """Make the files: anew, or as a copy that follows the primary."""
        if self._primary is not None:
            self._copy(self._primary)
            return
        super().create()
        rules = "".join(
            f"host {of} all {self.host}/24 scram-sha-256\n" for of in ("all", "replication")
        )
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write(rules)

    def remove(self) -> None:
        """Stop it, even if it stands still, and delete its files."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _copy(self, primary: LocalPostgres) -> None:
        (host,) = primary.address().hosts
        self._own(self.home)
        self.binaries = primary.binaries
        self.password = primary.password
        command: list[str | Path] = [self.binaries / "pg_basebackup", "-D", self.data, "-R"]
        command += ["-h", host.host, "-p", str(host.port), "-U", SUPERUSER, "-c", "fast"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.home,
            user=self._user,
            env={**os.environ, "PGPASSWORD": self.password, "PGSSLMODE": "disable"},
            check=False,
        )
        if done.returncode:
            raise PostgresNotStarted(f"pg_basebackup failed:\n{done.stdout}{done.stderr}")


class Authority:
    """The primary, its standby, and the database that the nodes use."""

    def __init__(self, host: str, folder: Path) -> None:
        """``folder`` takes the servers' logs."""
        self.host = host
        self._folder = folder
        self.primary = Server(host, free_port(host), folder)
        self.standby: Server | None = None
        self.places = (self.primary.port, free_port(host))
        """The ports of both servers, as the nodes know them."""
        self.user = ""
        self.password = ""

    async def create(self) -> None:
        """Both servers, and an empty database of an ordinary user."""
        await asyncio.to_thread(self.primary.create)
        await asyncio.to_thread(self.primary.start)
        made = await self.primary.create_database(DATABASE)
        self.user, self.password = made.user, made.password
        await self.add_standby(self.places[1])

    def address(self, server: Server | None = None) -> PostgresAddress:
        """How the nodes' user reaches a server's database."""
        address = (server or self.primary).address(DATABASE)
        return replace(address, user=self.user, password=self.password)

    def settings(self) -> dict[str, str]:
        """What the nodes are configured with."""
        return {
            "database": "postgres",
            "pg_host": ", ".join(f"{self.host}:{port}" for port in self.places),
            "pg_database": DATABASE,
            "pg_user": self.user,
            "pg_password": self.password,
        }

    async def add_standby(self, port: int) -> None:
        """Copy the primary to the other place; from then on commits wait for both."""
        await self.synchronous(False)
        self.standby = Server(self.host, port, self._folder, self.primary)
        await asyncio.to_thread(self.standby.create)
        await asyncio.to_thread(self.standby.start)
        await self.synchronous(True)

    async def synchronous(self, wanted: bool) -> None:
        """Whether a commit is answered only once the standby has it."""
        if wanted:  # before: a commit would wait for one that isn't there yet
            await self.until(_is_streaming, STREAMING, "the standby streams")
        names = "'*'" if wanted else "''"
        await execute(
            self.primary.address(),
            f"ALTER SYSTEM SET synchronous_standby_names = {names}",
            "SELECT pg_reload_conf()",
        )

    async def promote(self, *, keep_former: bool = False) -> Server:
        """Make the standby the primary; answers the former one, killed unless it is kept."""
        assert self.standby is not None
        former = self.primary
        if not keep_former:
            await asyncio.to_thread(former.kill)
        await execute(self.standby.address(), "SELECT pg_promote()")
        self.primary, self.standby = self.standby, None
        return former

    async def replace_former(self, former: Server) -> None:
        """Delete the former primary, and put a standby of the new one in its place."""
        await asyncio.to_thread(former.remove)
        await self.add_standby(former.port)

    async def until(self, condition: Callable[[list[Any]], bool], sql: str, what: str) -> None:
        """Wait until the primary answers a query so. Raises PostgresNotStarted."""
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                while not condition(await fetch(self.primary.address(), sql)):
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise PostgresNotStarted(f"not in {STREAM_SECONDS:g} s: {what}") from None

    def remove(self) -> None:
        """Both, with all files."""
        for server in (self.standby, self.primary):
            if server is not None:
                server.remove()


def _is_streaming(rows: list[Any]) -> bool:
    return [row["state"] for row in rows] == ["streaming"]


async def connected(address: PostgresAddress) -> asyncpg.Connection:
    """A plain connection, without what our own set at connect."""
    (host,) = address.hosts
    return await asyncpg.connect(
        host=host.host,
        port=host.port,
        user=address.user,
        password=address.password,
        database=address.database,
        ssl=False,
        timeout=CONNECT_SECONDS,
    )


async def execute(address: PostgresAddress, *statements: str) -> None:
    """Run statements, each by itself, as an operator would."""
    connection = await connected(address)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(address: PostgresAddress, sql: str, *parameters: object) -> list[asyncpg.Record]:
    """The rows of a query."""
    connection = await connected(address)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql, *parameters)
        return rows
    finally:
        await connection.close()
