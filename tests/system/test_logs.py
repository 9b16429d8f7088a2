"""Kong's log keys on real processes: where lines go, how files rotate, and how quiet a node is."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from node.demo.cluster import LocalNode
from node.demo.ports import HOST
from tests.system.conftest import StartCluster
from tests.system.daemon import Daemon, MakeDaemon, daemon, make_daemon
from tests.system.processes import Command, grapevine
from tests.system.waiting import until

__all__ = ["daemon", "make_daemon"]

QUIET_PROBES = 8
"""How often each node of an idle cluster probes others while it must say nothing."""


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def get(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as response:
        await response.read()
        return response.status


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def until_in(path: Path, pattern: str) -> None:
    """Wait until the file has a match."""

    async def found() -> bool:
        return bool(re.search(pattern, text(path)))

    await until(found, f"{path} has {pattern!r}", seconds=10)


class TestRotation:
    """As logrotate does it: rename, then USR1."""

    @pytest.fixture
    async def logs(self, daemon: Daemon) -> dict[str, Path]:
        """The log files of a running node, by key."""
        keys = ("proxy_access_log", "proxy_error_log", "admin_access_log", "admin_error_log")
        daemon.configure({key: f"logs/{key}.log" for key in keys})
        assert (await daemon.start()).code == 0
        return {key: daemon.prefix / "logs" / f"{key}.log" for key in keys}

    async def rotate(self, daemon: Daemon, logs: dict[str, Path]) -> None:
        for path in logs.values():
            path.rename(path.with_suffix(".1"))
        os.kill(daemon.pid, signal.SIGUSR1)

        async def reopened() -> bool:
            return all(path.exists() for path in logs.values())

        await until(reopened, "every file is there again", seconds=10)

    async def test_lines_before_it_are_in_the_old_file_and_lines_after_it_in_the_new(
        self, daemon: Daemon, logs: dict[str, Path], session: aiohttp.ClientSession
    ) -> None:
        node = daemon.node
        assert await get(session, f"{node.proxy_url}/before") == 404
        assert await get(session, f"{node.admin_url}/before") == 404
        await until_in(logs["proxy_access_log"], "GET /before ")
        await until_in(logs["admin_access_log"], "GET /before ")
        await self.rotate(daemon, logs)
        assert await get(session, f"{node.proxy_url}/after") == 404
        assert await get(session, f"{node.admin_url}/after") == 404
        for key in ("proxy_access_log", "admin_access_log"):
            await until_in(logs[key], "GET /after ")
            assert "/before" not in text(logs[key])
            assert "/after" not in text(logs[key].with_suffix(".1"))
        assert (await daemon.command("reload")).code == 0
        await until_in(logs["proxy_error_log"], " notice node reloaded ")
        assert " notice node starting " in text(logs["proxy_error_log"].with_suffix(".1"))

    async def test_the_admin_apis_own_part_rotates_too(
        self, daemon: Daemon, logs: dict[str, Path]
    ) -> None:
        await self.rotate(daemon, logs)
        await send_garbage(daemon.node)
        await until_in(logs["admin_error_log"], " warn admin not an HTTP request")
        assert "not an HTTP request" not in text(logs["proxy_error_log"])

    async def test_a_daemons_standard_error_rotates_too(self, daemon: Daemon) -> None:
        assert (await daemon.start()).code == 0
        await self.rotate(daemon, {"error": daemon.error_log})
        assert (await daemon.command("reload")).code == 0
        await until_in(daemon.error_log, " notice node reloaded ")
        opened = Path(f"/proc/{daemon.pid}/fd/2").readlink()  # noqa: ASYNC240 - procfs
        assert opened == daemon.error_log


async def send_garbage(node: LocalNode) -> None:
    """A request to the Admin API that is no HTTP: a line in its logs."""
    reader, writer = await asyncio.open_connection(HOST, node.ports.admin)
    writer.write(b"nonsense\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.")
    writer.close()
    await writer.wait_closed()


async def test_off_writes_no_file(daemon: Daemon, session: aiohttp.ClientSession) -> None:
    daemon.configure(
        {
            "proxy_access_log": "off",
            "proxy_error_log": "off",
            "admin_access_log": "off",
            "admin_error_log": "off",
        }
    )
    assert (await daemon.start()).code == 0
    assert await get(session, f"{daemon.node.admin_url}/") == 200
    assert await get(session, f"{daemon.node.proxy_url}/") == 404
    await send_garbage(daemon.node)
    assert (await daemon.command("stop")).code == 0
    assert [path.read_text() for path in (daemon.prefix / "logs").iterdir()] == ["", ""]


async def test_a_daemon_loses_no_line_of_a_conf_written_for_containers(
    daemon: Daemon, session: aiohttp.ClientSession
) -> None:
    daemon.configure({"proxy_access_log": "/dev/stdout", "admin_access_log": "/dev/stdout"})
    assert (await daemon.start()).code == 0
    assert await get(session, f"{daemon.node.admin_url}/by-admin") == 404
    assert await get(session, f"{daemon.node.proxy_url}/by-proxy") == 404
    access_log = daemon.prefix / "logs" / "access.log"
    await until_in(access_log, "GET /by-admin ")
    await until_in(access_log, "GET /by-proxy ")


async def test_in_the_foreground_the_standard_streams_are_the_inherited_ones(
    make_daemon: MakeDaemon, session: aiohttp.ClientSession
) -> None:
    daemon = make_daemon()
    daemon.configure({"proxy_access_log": "/dev/stdout", "admin_access_log": "/dev/stdout"})
    await daemon.bootstrap()
    run: Command = await grapevine("run", "-c", str(daemon.node.conf))
    await daemon.node_ready(session)
    assert await get(session, f"{daemon.node.admin_url}/by-admin") == 404
    assert await get(session, f"{daemon.node.proxy_url}/by-proxy") == 404
    await run.until_output('"GET /by-admin HTTP/1.1" 404 ')
    await run.until_output('"GET /by-proxy HTTP/1.1" 404 ')
    run.process.send_signal(signal.SIGTERM)
    assert await run.end() == 0
    assert " notice node stopped" in run.output
    assert not (daemon.prefix / "logs").exists()


async def test_log_level_is_the_least_that_is_written(daemon: Daemon) -> None:
    daemon.configure({"log_level": "warn"})
    assert (await daemon.start()).code == 0
    assert (await daemon.command("stop")).code == 0
    assert daemon.log() == ""


@pytest.mark.long
async def test_an_idle_cluster_logs_nothing_after_its_start(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(3)

    async def probes(wanted: int) -> None:
        """Wait until each node has measured so many round trips to the others."""
        seen: dict[str, set[float]] = {node.name: set() for node in cluster.nodes}

        async def measured() -> bool:
            for node in cluster.nodes:
                members = (await cluster.get_json(f"{node.admin_url}/cluster"))["data"]
                seen[node.name] |= {member["rtt"] for member in members if member["rtt"]}
            return all(len(times) >= wanted for times in seen.values())

        await until(measured, f"each node has probed {wanted} times", seconds=60)

    await probes(3)  # what is left of joining
    before = {node.name: node.log.read_text() for node in cluster.nodes}
    await probes(QUIET_PROBES)
    assert {node.name: node.log.read_text() for node in cluster.nodes} == before
