"""The authority of a benchmark's cluster: a SQLite file, or a Postgres server of its own."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from node.demo.local_postgres import LocalPostgres, settings_for

DATABASES = ("sqlite", "postgres")


class Database:
    """One that runs. ``settings`` are what the nodes' conf files say of it."""

    def __init__(self, settings: Mapping[str, str], server: LocalPostgres | None) -> None:
        self.settings = settings
        self.server = server
        """None for SQLite."""


@contextlib.asynccontextmanager
async def database(
    kind: str, home: Path, server_settings: Mapping[str, str] | None = None
) -> AsyncIterator[Database]:
    """One of DATABASES with nothing in it, gone at the end. ``server_settings`` are of
    postgresql.conf."""
    if kind == "sqlite":
        path = str(home / "authority.db")
        yield Database({"database": "sqlite", "sqlite_path": path}, None)
        return
    server = LocalPostgres(server_settings)
    try:
        server.create()
        server.start()
        address = await server.create_database("bench")
        yield Database(settings_for(address), server)
    finally:
        server.remove()
