"""stop and quit: what becomes of the node, and of requests in flight."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from node.demo.ports import HOST
from tests.system.daemon import Daemon, daemon, listens, make_daemon
from tests.system.waiting import until

__all__ = ["daemon", "make_daemon"]


class TestStop:
    async def test_nothing_is_left_of_a_stopped_node(self, daemon: Daemon) -> None:
        await daemon.start()
        ports = daemon.node.ports
        stopped = await daemon.command("stop")
        assert (stopped.code, stopped.output) == (0, "Grapevine stopped\n")
        assert daemon.processes() == []
        for port in (ports.proxy, ports.admin, ports.status, ports.gossip):
            assert not await listens(port)
        assert daemon.log().splitlines()[-1].endswith(" notice node stopped")

    async def test_a_broken_conf_file_is_no_obstacle_when_the_prefix_is_named(
        self, daemon: Daemon
    ) -> None:
        await daemon.start()
        daemon.node.conf.write_text("nonsense\n")
        assert (await daemon.command("stop")).code == 0

    @pytest.mark.long
    async def test_a_hung_node_is_killed_and_that_is_said(self, daemon: Daemon) -> None:
        daemon.configure({"shutdown_timeout": "0"})
        await daemon.start()
        processes = daemon.processes()
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        stopped = await daemon.command("stop")
        assert stopped.code == 0
        assert f"process {daemon.pid} did not stop in 10 s; it is killed" in stopped.output
        assert daemon.processes() == []


class SlowUpstream:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.released = asyncio.Event()
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self.port = 0

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.set()
        await self.released.wait()
        return web.Response(text="done")

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.released.set()
        await self._runner.cleanup()


@pytest.fixture
async def slow() -> AsyncIterator[SlowUpstream]:
    upstream = SlowUpstream()
    await upstream.start()
    yield upstream
    await upstream.stop()


async def request_in_flight(daemon: Daemon, slow: SlowUpstream) -> "asyncio.Task[str]":
    """A proxied request that the upstream has received and not yet answered."""

    async def call() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{daemon.node.proxy_url}/slow") as response,
        ):
            return await response.text()

    async with aiohttp.ClientSession(raise_for_status=True) as session:
        service = {"name": "slow", "host": HOST, "port": slow.port}
        await session.post(f"{daemon.node.admin_url}/services", json=service)
        route = {"paths": ["/slow"]}
        await session.post(f"{daemon.node.admin_url}/services/slow/routes", json=route)
    calling = asyncio.create_task(call())
    await asyncio.wait_for(slow.asked.wait(), 10)
    return calling


class TestQuit:
    async def test_a_request_in_flight_finishes_however_long_it_takes(
        self, daemon: Daemon, slow: SlowUpstream
    ) -> None:
        daemon.configure({"shutdown_timeout": "0"})
        await daemon.start()
        calling = await request_in_flight(daemon, slow)
        quitting = asyncio.create_task(daemon.command("quit", "-t", "30"))

        async def stopped_accepting() -> bool:
            return not await listens(daemon.node.ports.proxy)

        await until(stopped_accepting, "the proxy accepts no more")
        assert not calling.done()
        assert not quitting.done()
        assert daemon.processes()
        slow.released.set()
        assert await calling == "done"
        assert (await quitting).code == 0
        assert daemon.processes() == []

    async def test_beyond_its_timeout_requests_are_cut_off_and_that_is_said(
        self, daemon: Daemon, slow: SlowUpstream
    ) -> None:
        await daemon.start()
        calling = await request_in_flight(daemon, slow)
        outcome = await daemon.command("quit", "-t", "0.2")
        assert outcome.code == 0
        assert "still in flight after 0.2 s; they are cut off" in outcome.output
        assert daemon.processes() == []
        with pytest.raises(aiohttp.ClientError):
            await calling
