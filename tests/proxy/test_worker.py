"""The worker process and its channel: start, versions, draining, orphans, signals, logs."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from node.channel import Apply, Audit, Drain, Level, Snapshot
from node.metrics.histogram import Histogram
from node.proxy import limits, stats
from tests.proxy.certificates import self_signed
from tests.proxy.client import connected
from tests.proxy.conftest import Origin, answering, origin
from tests.proxy.process import WorkerProcess, everything, route, running, service

HELD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_versions_are_confirmed_as_they_are_served(echo: Origin) -> None:
    target = service(echo.url)
    async with running([target]) as worker, connected(worker.port) as client:
        assert (await client.get()).status == 404
        version = await worker.apply(route(target, paths=["/"]), ("unheard-of", "x", "{}"))
        assert (await client.get()).status == 200
        assert [each.version for each in worker.applied] == [(1, 0, 1), version]


async def test_a_snapshot_in_slices_replaces_what_was_served(echo: Origin) -> None:
    old, new = service(echo.url), service(echo.url)
    async with (
        running([old, route(old, paths=["/old"])]) as worker,
        connected(worker.port) as client,
    ):
        worker.send(Snapshot((2, 7, 5), (new,), last=False, first=True))
        assert (await client.get("/old")).status == 200
        worker.send(Snapshot((2, 7, 5), (route(new, paths=["/new"]),), last=True, first=False))
        await worker.until(lambda: worker.applied[-1].version == (2, 7, 5))
        assert (await client.get("/old")).status == 404
        assert (await client.get("/new")).status == 200


async def test_everything_that_a_worker_counts_is_declared_with_its_meaning(echo: Origin) -> None:
    """Else /metrics wouldn't show it."""
    async with running(everything(echo.url)) as worker:
        await worker.until(lambda: worker.stats)
        labelled = {f"responses_{number}xx" for number in range(1, 6)}
        latencies = Histogram(stats.LATENCY_BOUNDS).counters(stats.LATENCY)
        assert set(worker.stats) == {*stats.MEANINGS, *labelled, *latencies}


async def test_a_worker_that_holds_something_else_says_so_once_until_it_gets_a_state(
    echo: Origin,
) -> None:
    target, made = everything(echo.url)
    other = route(target, made[1], paths=["/other"])
    counts = {"services": 1, "routes": 1, "things_of_a_later_version": 7}
    async with running([target, made]) as worker:
        worker.send(Audit((target, made), counts))
        await worker.apply()
        assert worker.differs == []
        for _ in range(2):
            worker.send(Audit((target, other), counts))
        await worker.apply()
        assert worker.differs == [f"routes {made[1]}"]
        worker.send(Snapshot((2, 7, 5), (target, other), last=True, first=True))
        worker.send(Audit((target, other), counts))
        worker.send(Audit((target,), {**counts, "routes": 2}))
        await worker.until(lambda: len(worker.differs) == 2)
        assert worker.differs[1] == "1 routes instead of 2"


async def test_a_state_that_begins_anew_leaves_nothing_of_the_one_before(echo: Origin) -> None:
    old, half, new = service(echo.url), service(echo.url), service(echo.url)
    async with (
        running([old, route(old, paths=["/old"])]) as worker,
        connected(worker.port) as client,
    ):
        slices = (half, route(half, paths=["/half"])), (new, route(new, paths=["/new"]))
        worker.send(Snapshot((2, 7, 5), slices[0], last=False, first=True))
        worker.send(Snapshot((2, 7, 6), slices[1], last=True, first=True))
        await worker.until(lambda: worker.applied[-1].version == (2, 7, 6))
        statuses = [(await client.get(path)).status for path in ("/old", "/half", "/new")]
        assert statuses == [404, 404, 200]


async def test_an_entity_that_can_not_be_used_is_left_out_alone(echo: Origin) -> None:
    target = service(echo.url)
    bad = route(target, paths=["~/(?=x)"])
    changes = [target, bad, ("routes", "r", "{"), ("services", "s", '{"id": "s"}')]
    async with running([*changes, route(target, paths=["/"])]) as worker:
        async with connected(worker.port) as client:
            assert (await client.get()).status == 200
        await worker.counted("entities_refused", 3)


async def test_draining_finishes_requests_and_closes_idle_connections() -> None:
    release = asyncio.Event()

    async def later(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await reader.read() if release.is_set() else await release.wait()
        writer.write(b"ok")
        await writer.drain()

    async with (
        origin(later) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as idle,
        connected(worker.port) as busy,
    ):
        assert (await idle.get("/", "Grapevine-Min-Revision: x\r\n")).status == 400
        busy.send(HELD)
        await busy.reader.readuntil(b"\r\n\r\n")
        worker.send(Drain(None))
        assert await idle.closed() == b""
        release.set()
        assert await busy.closed() == b"ok"
        assert (await worker.exited())[0] == 0


async def test_connections_that_wait_to_be_accepted_are_served_by_a_draining_worker(
    echo: Origin,
) -> None:
    """A balancer's request may stand in the listener's queue just as the listener is closed."""
    async with running(everything(echo.url)) as worker, AsyncExitStack() as clients:
        worker.process.send_signal(signal.SIGSTOP)
        queued = [await clients.enter_async_context(connected(worker.port)) for _ in range(20)]
        for client in queued:
            client.send(HELD)
        worker.send(Drain(10.0))
        worker.listener.close()
        worker.process.send_signal(signal.SIGCONT)
        assert [(await client.response()).status for client in queued] == [200] * 20
        assert (await worker.exited())[0] == 0


async def test_draining_ends_when_its_time_is_up() -> None:
    async with (
        origin(answering(b"")) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        client.send(HELD)
        await worker.counted("total_requests")
        worker.send(Drain(0.1))
        assert (await worker.exited())[0] == 0


async def test_an_orphan_closes_its_listener_at_once_and_finishes_its_requests() -> None:
    release = asyncio.Event()

    async def later(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        origin(later) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        client.send(HELD)
        await worker.counted("total_requests")
        worker.vanish()
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", worker.port)
                except ConnectionError:  # refused, or reset as the socket closed
                    break
                writer.close()
                await asyncio.sleep(0)
        release.set()
        response = await client.response()
        assert (response.body, response.field("Connection")) == (b"ok", "close")
        assert (await worker.exited())[0] == 0


async def test_signals_of_the_process_group_are_ignored(echo: Origin) -> None:
    async with (
        running(everything(echo.url), fresh=True) as worker,
        connected(worker.port) as client,
    ):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            worker.process.send_signal(number)
        assert (await client.get()).status == 200


@pytest.mark.parametrize(
    ("settings", "raw", "reason"),
    [
        ({}, b"\xff\xff\xff\xff", "4294967295 bytes"),
        ({}, b"\x00\x00\x00\x01\xc1", "not a frame"),
        ({"router_flavor": "expressions"}, b"", "router_flavor: 'expressions'"),
    ],
)
async def test_a_channel_that_makes_no_sense_ends_the_worker_with_a_log_line(
    settings: dict[str, Any], raw: bytes, reason: str
) -> None:
    worker = WorkerProcess()
    await worker.start(fresh=True, **settings)
    worker.send_raw(raw)
    code, errors = await worker.exited()
    assert code == 1
    assert reason in errors
    await worker.stop()


async def test_a_changeset_before_the_snapshot_is_refused() -> None:
    worker = WorkerProcess()
    await worker.start(fresh=True)
    worker.send(Apply((1, 0, 1), ()))
    code, errors = await worker.exited()
    assert (code, "before the first snapshot" in errors) == (1, True)
    await worker.stop()


async def test_the_access_log_is_kongs_and_is_reopened(echo: Origin, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    async with (
        running(everything(echo.url), access_log=str(log)) as worker,
        connected(worker.port) as refused,
        connected(worker.port) as client,
    ):
        response = await refused.get("/a?b", "User-Agent: \x01\r\n")
        assert response.status == 400  # a control character
        response = await client.get("/a?b", 'User-Agent: "x\r\nReferer: r\r\n')
        log.rename(tmp_path / "old.log")
        worker.process.send_signal(signal.SIGUSR1)
        await worker.until(log.exists)
        await client.get("/second")
    old = (tmp_path / "old.log").read_text()
    assert '"-" 400' in old
    assert f'"GET /a?b HTTP/1.1" 200 {len(response.body)} "r" "\\x22x" kong_request_id: ' in old
    assert '"GET /second HTTP/1.1" 200' in log.read_text()


async def test_the_access_log_may_be_json(echo: Origin, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    async with (
        running(everything(echo.url), access_log=str(log), access_log_format="json") as worker,
        connected(worker.port) as client,
    ):
        response = await client.get("/a?b", 'User-Agent: "x\\\r\n')
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["request"] == "GET /a?b HTTP/1.1"
    assert line["user_agent"] == '"x\\'
    assert (line["status"], line["bytes_sent"]) == (200, len(response.body))


async def test_tls_clients_are_served_and_http_2_is_not_offered(
    echo: Origin, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path, "a.test")
    target = service(echo.url)
    changes = [target, route(target, snis=["a.test"], protocols=["https"])]
    tls = ssl.create_default_context(cafile=str(certificate))
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with (
        running(changes, ssl_cert=str(certificate), ssl_cert_key=str(key)) as worker,
        connected(worker.port, tls=tls, name="a.test") as client,
    ):
        response = await client.get()
        assert "X-Forwarded-Proto: https" in response.text
        session = client.writer.get_extra_info("ssl_object")
        assert session.selected_alpn_protocol() == "http/1.1"


async def test_a_thousand_entities_arrive_as_one_version(echo: Origin) -> None:
    target = service(echo.url)
    changes = [target, *[route(target, paths=[f"/{number}/"]) for number in range(1000)]]
    async with running() as worker, connected(worker.port) as client:
        await worker.apply(*changes)
        for number in (0, 500, 999):
            assert (await client.get(f"/{number}/")).status == 200


async def test_clients_beyond_the_descriptors_are_refused_and_the_others_served(
    echo: Origin,
) -> None:
    room = 3
    descriptors = limits.DESCRIPTORS_RESERVED + 2 * room
    async with (
        running(everything(echo.url), descriptors=descriptors, fresh=True) as worker,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(connected(worker.port)) for _ in range(room)]
        for client in clients:
            assert (await client.get()).status == 200
        async with connected(worker.port) as refused:
            assert await refused.closed() == b""
        assert (await clients[0].get()).status == 200
        await worker.counted("clients_refused")


def test_the_command_line_wants_a_socket() -> None:
    with open("/dev/null") as null:
        done = subprocess.run(
            [sys.executable, "-m", "node.proxy.worker", "--channel-fd", str(null.fileno())],
            pass_fds=(null.fileno(),),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "is not a socket" in done.stderr


@pytest.mark.parametrize("level", ["notice", "error"])
async def test_a_worker_logs_from_the_level_on_that_it_is_told(level: str) -> None:
    async with running() as worker:
        worker.send(Level(level))
        worker.vanish()
        _, errors = await worker.exited()
        assert ("the agent is gone" in errors) is (level == "notice")
