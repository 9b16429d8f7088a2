"""A node that the command line starts in the background, and the clean-up after it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from node.demo.cluster import LocalNode
from node.demo.ports import HOST, node_ports
from store.migrations.sqlite_runner import SqliteMigrations
from tests.system.conftest import free_base
from tests.system.processes import grapevine, processes_of_group
from tests.system.waiting import until

COMMAND_SECONDS = 40.0


class Outcome(NamedTuple):
    """What a command came to."""

    code: int
    output: str


class Daemon:
    """One node's files, its ports, and the commands about it."""

    def __init__(self, home: Path, number: int = 1) -> None:
        self.home = home
        self.node = LocalNode(home, number, node_ports(free_base(1), 1))
        self.prefix = self.node.prefix
        self.error_log = self.prefix / "logs" / "error.log"
        self._pids: set[int] = set()

    @property
    def authority(self) -> Path:
        return self.home / "authority.db"

    def configure(self, settings: Mapping[str, str] | None = None) -> None:
        """Write the conf file."""
        self.node.configure(
            {"database": "sqlite", "sqlite_path": str(self.authority), **(settings or {})}
        )

    async def bootstrap(self) -> None:
        """Make the authority."""
        await SqliteMigrations(self.authority).bootstrap()

    async def command(
        self, name: str, *words: str, environment: dict[str, str] | None = None
    ) -> Outcome:
        """Run ``grapevine NAME -p PREFIX WORDS`` to its end; it names no conf file."""
        command = await grapevine(
            name, "-p", str(self.prefix), *words, environment=environment or {}
        )
        code = await command.end(seconds=COMMAND_SECONDS)
        self._remember()
        return Outcome(code, command.output)

    async def start(self, *words: str, environment: dict[str, str] | None = None) -> Outcome:
        """Run ``grapevine start`` on the conf file."""
        return await self.command(
            "start", "-c", str(self.node.conf), *words, environment=environment
        )

    async def node_ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until a node that was started otherwise serves."""

        async def ready() -> bool:
            async with session.get(f"{self.node.status_url}/status/ready") as response:
                return response.status == 200

        await until(ready, "the node is ready")

    @property
    def pid(self) -> int:
        """Of the supervisor that was started last."""
        return int((self.prefix / "grapevine.pid").read_text())

    def processes(self) -> list[int]:
        """All of the last one's processes, zombies aside."""
        return processes_of_group(self.pid)

    def log(self) -> str:
        return self.error_log.read_text()

    def _remember(self) -> None:
        try:
            self._pids.add(self.pid)
        except (FileNotFoundError, ValueError):
            pass

    def kill(self) -> None:
        """End whatever a failed test has left."""
        for pid in self._pids:
            if processes_of_group(pid):
                os.killpg(pid, signal.SIGKILL)


async def listens(port: int) -> bool:
    """Whether anybody accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


MakeDaemon = Callable[[], Daemon]


@pytest.fixture
async def make_daemon(tmp_path: Path) -> AsyncIterator[MakeDaemon]:
    """Makes nodes on one authority; at the end none is left, and their logs are printed."""
    daemons: list[Daemon] = []

    def make() -> Daemon:
        daemons.append(Daemon(tmp_path, len(daemons) + 1))
        return daemons[-1]

    yield make
    for daemon in daemons:
        daemon.kill()
        if daemon.error_log.exists():
            print(f"--- {daemon.error_log}\n{daemon.log()[-8_192:]}")


@pytest.fixture
async def daemon(make_daemon: MakeDaemon) -> Daemon:
    """A node with its conf file and its authority made, not yet started."""
    made = make_daemon()
    made.configure()
    await made.bootstrap()
    return made
