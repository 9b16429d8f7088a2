"""The Admin and status APIs on ephemeral ports, before a real SQLite authority and replica."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from node.admin.app import create_admin_app, create_status_app
from node.admin.server import create_runner
from node.config.load import load
from node.config.settings import Settings
from store.migrations.sqlite_runner import SqliteMigrations
from store.replica import Replica
from store.sqlite import SqliteAuthority
from tests.admin.client import Client
from tests.admin.small_node import SmallNode

Serve = Callable[[web.Application], Awaitable[Client]]


@pytest.fixture
def overrides() -> dict[str, str]:
    """Configuration keys of the node; a test overrides this by parametrization."""
    return {}


@pytest.fixture
def settings(overrides: dict[str, str], tmp_path: Path) -> Settings:
    conf = tmp_path / "grapevine.conf"  # without a file of ours, one of this machine's is found
    conf.write_text("")
    return load(str(conf), {"prefix": str(tmp_path), "database": "sqlite", **overrides}, {})


@pytest.fixture
async def authority(settings: Settings) -> AsyncIterator[SqliteAuthority]:
    await SqliteMigrations(settings.sqlite_path).bootstrap()
    authority = SqliteAuthority(settings.sqlite_path)
    yield authority
    await authority.close()


@pytest.fixture
async def node(settings: Settings, authority: SqliteAuthority) -> SmallNode:
    info = await authority.open()
    replica = Replica(info.id)
    replica.load(await authority.state())
    return SmallNode(settings, authority, replica, info)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves an application and answers a client of it."""
    runners: list[web.AppRunner] = []
    async with aiohttp.ClientSession() as session:

        async def start(app: web.Application) -> Client:
            runner = create_runner(app)
            await runner.setup()
            runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            return Client(session, str(URL.build(scheme="http", host=host, port=port)))

        yield start
        for runner in runners:
            await runner.cleanup()


@pytest.fixture
async def admin(node: SmallNode, serve: Serve) -> Client:
    """A client of the Admin API."""
    return await serve(create_admin_app(node))


@pytest.fixture
async def status_api(node: SmallNode, serve: Serve) -> Client:
    """A client of the status API."""
    return await serve(create_status_app(node))
