"""Asking nodes that hang, answer garbage or never stop: bounded in time and size."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from node.top import limits
from node.top.book import Book
from node.top.collecting import Source, ask, follow
from node.top.lines import Lines
from node.top.snapshot import Sight
from tests.top.test_book import METRICS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LISTING = {"data": [{"id": "i", "name": "gw1", "status": "alive", "revision": "1.42"}]}


async def answer_cluster(request: web.Request) -> web.StreamResponse:
    return web.json_response(LISTING)


async def answer_metrics(request: web.Request) -> web.StreamResponse:
    return web.Response(body=METRICS)


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def trickle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.01)


async def flood(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65536)


async def elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:9/")


class Node:
    """A server that answers as told."""

    def __init__(self) -> None:
        self.routes: dict[str, Handler] = {
            "/cluster": answer_cluster,
            "/metrics": answer_metrics,
            "/cluster/events": hang,
        }
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.source = Source("node", f"http://127.0.0.1:{self.socket.getsockname()[1]}")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        return await self.routes[request.path](request)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    await made.runner.setup()
    await web.SockSite(made.runner, made.socket).start()
    yield made
    await made.runner.cleanup()


async def asked(node: Node) -> Sight:
    book = Book(("node",))
    async with aiohttp.ClientSession() as session:
        await ask(session, node.source, book)
    return book.sights({}, {}, {})[0]


async def test_a_node_that_answers_is_seen(node: Node) -> None:
    sight = await asked(node)
    assert (sight.name, sight.state, str(sight.version)) == ("gw1", "serving", "1.42")


@pytest.mark.parametrize("slow", [hang, trickle])
@pytest.mark.parametrize("path", ["/cluster", "/metrics"])
async def test_a_node_that_hangs_or_trickles_is_given_up(
    node: Node, slow: Handler, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ASK_SECONDS_MAX", 0.2)
    node.routes[path] = slow
    began = time.monotonic()
    sight = await asked(node)
    assert (sight.state, sight.problem) == ("no answer", "none in 0.2 s")
    assert time.monotonic() - began < 10


async def test_an_endless_answer_is_cut_off(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASK_SECONDS_MAX", 30.0)
    node.routes["/metrics"] = flood
    sight = await asked(node)
    assert sight.state == "garbage"
    assert sight.problem == f"/metrics has more than {limits.METRICS_BYTES_MAX} bytes"


async def test_a_redirect_is_not_followed(node: Node) -> None:
    node.routes["/cluster"] = elsewhere
    sight = await asked(node)
    assert (sight.state, sight.problem) == ("garbage", "/cluster is answered with 302")


async def test_a_node_that_is_not_there_says_so(node: Node) -> None:
    await node.runner.cleanup()
    assert (await asked(node)).state == "no answer"


async def test_garbage_among_events_costs_the_stream_and_nothing_else(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETRY_SECONDS", 0.0)
    change = {
        "type": "revision",
        "at": 100.5,
        "revision": "1.43",
        "origin": "i",
        "committed_at": 100.0,
        "changes": [["put", "routes", "hello"]],
    }
    streams = iter(
        [
            b"data: {]\n\n",
            b"data: [1]\n\n",
            b'data: {"type": "revision"}\n\n',
            b"data: " + b"[" * 50_000 + b"\n\n",
            b"data: " + b"x" * 1_000_000 + b"\n\n",
            f"data: {json.dumps(change)}\n\n".encode(),
        ]
    )

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for data in streams:
            await response.write(data)
            break
        else:
            await asyncio.Event().wait()
        return response

    node.routes["/cluster/events"] = events
    seen: asyncio.Queue[str] = asyncio.Queue()
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        following = asyncio.create_task(
            follow(session, node.source, Book(("node",)), Lines(seen.put_nowait))
        )
        while "1.43 put routes/hello by gw1 (gw1 500.0 ms)" not in await seen.get():
            pass
        following.cancel()
        await asyncio.wait({following})
