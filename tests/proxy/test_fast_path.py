"""The fast path of a request, beside the long one: nobody outside can tell which was taken."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from node.proxy import limits
from node.proxy.downstream import Downstream
from node.proxy.error_log import ErrorLog
from node.proxy.gateway import Gateway
from tests.proxy.conftest import answering, origin
from tests.proxy.process import route, service
from tests.proxy.test_certificates import settings_with
from tests.proxy.test_decided_once import RESPONSES, Kept, Pair
from tests.system.waiting import until

TO = service("http://127.0.0.1:1/base", name="to", retries=0)
PATHS = route(TO, paths=["/"], name="all")
FIELDS = b"Host: a\r\nReferer: r\r\nKong-Debug: 1\r\n"
GET = b"GET /x?y HTTP/1.1\r\n" + FIELDS + b"\r\n"
POST = b"POST /x HTTP/1.1\r\n" + FIELDS + b"Content-Length: 0\r\n\r\n"
ANSWER = RESPONSES["of known length"]
LARGE = RESPONSES["with a large head"]


def gateway_in(folder: Path, **settings: Any) -> Gateway:
    folder.mkdir(exist_ok=True)
    gateway = Gateway(
        settings_with(folder)._replace(
            replica_file=str(folder / "none"),
            upstream_keepalive_max_requests=10,
            headers=("server_tokens", "latency_tokens", "x-kong-request-id"),
            access_log=str(folder / "access.log"),
            **settings,
        ),
        1000,
        ErrorLog(0),
        lambda frame: None,
    )
    gateway.table.apply((1, 0, 1), [TO, PATHS])
    return gateway


class Course(NamedTuple):
    """What happens to a request whose head is known and which has been sent to its upstream."""

    request: bytes
    happens: Callable[[Pair], None]


def answered(*pieces: bytes) -> Callable[[Pair], None]:
    def happens(pair: Pair) -> None:
        for piece in pieces:
            pair.upstream.data_received(piece)

    return happens


def in_turn(*events: Callable[[Pair], None]) -> Callable[[Pair], None]:
    def happens(pair: Pair) -> None:
        for event in events:
            event(pair)

    return happens


def the_upstream_takes_too_long(pair: Pair) -> None:
    pair.gateway.wheel.advance(pair.gateway.loop.time() + 61)


def the_table_changes(pair: Pair) -> None:
    pair.gateway.table.apply((1, 0, 2), [route(TO, id=PATHS[1], paths=["/other"])])


def this_was_the_last_request(pair: Pair) -> None:
    pair.downstream._served = limits.KEEPALIVE_REQUESTS_MAX


def client_lost(pair: Pair) -> None:
    pair.downstream.connection_lost(None)


def upstream_lost(pair: Pair) -> None:
    pair.upstream.connection_lost(ConnectionResetError("gone"))


def client_full(pair: Pair) -> None:
    pair.downstream.pause_writing()


def client_drained(pair: Pair) -> None:
    pair.downstream.resume_writing()


def upstream_full(pair: Pair) -> None:
    pair.upstream.pause_writing()


def upstream_drained(pair: Pair) -> None:
    pair.upstream.resume_writing()


def client_ends(pair: Pair) -> None:
    assert pair.downstream.eof_received()


def draining(pair: Pair) -> None:
    pair.gateway.drain()


def another_request(pair: Pair) -> None:
    pair.downstream.data_received(GET)


def a_request_of_its_own(pair: Pair) -> None:
    pair.downstream.data_received(GET.replace(b"/x", b"/z"))


COURSES = {
    **{f"answered: {name}": Course(GET, answered(answer)) for name, answer in RESPONSES.items()},
    "answered in pieces": Course(GET, answered(ANSWER[:9], ANSWER[9:-2], ANSWER[-2:])),
    "answered with too much": Course(GET, answered(ANSWER + b"HTTP/1.1 200 OK\r\n")),
    "the client is lost": Course(GET, client_lost),
    "the client is lost amid the answer": Course(GET, in_turn(answered(ANSWER[:-1]), client_lost)),
    "the client is full": Course(GET, in_turn(client_full, answered(ANSWER), client_drained)),
    "the client was full": Course(GET, in_turn(client_full, client_drained, answered(ANSWER))),
    "the client ends": Course(GET, in_turn(client_ends, answered(ANSWER))),
    "the client goes on": Course(
        GET, in_turn(another_request, a_request_of_its_own, answered(ANSWER, ANSWER, ANSWER))
    ),
    "large heads of one size": Course(
        GET,
        in_turn(answered(LARGE), another_request, answered(LARGE.replace(b"200 OK", b"201 No"))),
    ),
    "the upstream is lost": Course(POST, upstream_lost),
    "the upstream is lost amid the answer": Course(
        GET, in_turn(answered(ANSWER[:-1]), upstream_lost)
    ),
    "the upstream is full": Course(
        POST, in_turn(upstream_full, upstream_drained, answered(ANSWER))
    ),
    "the upstream is full and answers": Course(POST, in_turn(upstream_full, answered(ANSWER))),
    "the upstream takes too long": Course(POST, the_upstream_takes_too_long),
    "the worker drains": Course(GET, in_turn(draining, answered(ANSWER))),
    "the table changes": Course(
        GET, in_turn(the_table_changes, answered(ANSWER), another_request, answered(ANSWER))
    ),
    "the connection's last request": Course(
        GET, in_turn(this_was_the_last_request, answered(ANSWER))
    ),
}


async def what_came_of_it(gateway: Gateway, course: Course, *, short: bool) -> dict[str, Any]:
    """All that can be seen from outside, and what is counted and logged."""
    pair = Pair(gateway)
    if not short:
        pair.downstream._fast_path = None
    first = pair.ask(course.request), pair.answer(ANSWER)
    asked = pair.ask(course.request)
    assert (pair.downstream._exchange is pair.downstream._fast_path) is short
    course.happens(pair)
    seen = {
        "first": first,
        "asked": asked,
        "asked later": pair.origin.take(),
        "told": pair.client.take(),
        "kept": (pair.client.closed, pair.client.eof, pair.origin.closed),
        "state": pair.downstream.state,
        "logged": [
            (entry[0] and entry[0].target, *entry[1:4]) for entry in gateway.access_log.entries
        ],
        "counted": {
            name: count
            for name, count in gateway.stats.snapshot().items()
            if not name.startswith("latency")
        },
        "measured": sum(gateway.stats.latency.counts),
        "idle": sum(len(idle) for idle in gateway.pool._idle.values()),
    }
    gateway.close()
    return seen


@pytest.fixture(autouse=True)
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of our own have the same Date, however long a test takes."""
    monkeypatch.setattr("node.proxy.annotations.time.time", lambda: 1_800_000_000.0)


@pytest.mark.parametrize("name", COURSES)
async def test_the_fast_path_is_the_long_way(tmp_path: Path, name: str) -> None:
    course = COURSES[name]
    long = await what_came_of_it(gateway_in(tmp_path / "long"), course, short=False)
    short = await what_came_of_it(gateway_in(tmp_path / "short"), course, short=True)
    assert short == long
    assert short["counted"]["total_requests"] >= 2


@pytest.mark.parametrize(
    "headers", [(), ("via",), ("x-kong-upstream-status", "latency_tokens", "x-kong-request-id")]
)
async def test_an_answer_of_the_fast_path_has_the_fields_that_are_asked_for(
    tmp_path: Path, headers: tuple[str, ...]
) -> None:
    course = COURSES["answered: of known length"]
    made = [gateway_in(tmp_path / way) for way in ("long", "short")]
    for gateway in made:
        gateway.annotations = type(gateway.annotations)(headers, "1.0")
    long, short = [
        await what_came_of_it(gateway, course, short=gateway is made[1]) for gateway in made
    ]
    assert short == long
    assert (b"Via: " in short["told"]) is ("via" in headers)


@pytest.mark.parametrize("request_line", [b"HEAD /x HTTP/1.1\r\n", b"GET /x HTTP/1.0\r\n"])
async def test_a_request_that_is_answered_otherwise_is_the_same_again(
    tmp_path: Path, request_line: bytes
) -> None:
    gateway = gateway_in(tmp_path)
    answers = []
    for _ in range(2):
        pair = Pair(gateway)
        pair.ask(request_line + FIELDS + b"\r\n")
        answer = ANSWER[: ANSWER.rindex(b"\r\n\r\n") + 4] if b"HEAD" in request_line else ANSWER
        answers.append(pair.answer(answer))
    assert answers[0] == answers[1]
    assert b"HTTP/1.1 200" in answers[0][0]
    gateway.close()


async def test_where_debug_fields_are_allowed_each_answer_has_them(tmp_path: Path) -> None:
    gateway = gateway_in(tmp_path, allow_debug_header=True)
    pair = Pair(gateway)
    for _ in range(3):
        pair.ask(GET)
        assert b"Kong-Route-Name: all\r\n" in pair.answer(ANSWER)[0]
    gateway.close()


async def test_a_kept_connection_that_is_lost_is_replaced_unseen(tmp_path: Path) -> None:
    """The upstream closed it just as it was taken: the request goes over a fresh one."""
    gateway = gateway_in(tmp_path)
    async with origin(answering(ANSWER, ANSWER)) as upstream:
        gateway.table.apply((1, 0, 2), [service(upstream.url, id=TO[1], name="to")])
        pair = Pair(gateway)

        async def told() -> bool:
            return bool(pair.client.written)

        pair.downstream.data_received(GET)  # over a connection of its own, which is kept
        await until(told, "the client is answered")
        first = pair.client.take()
        [kept] = gateway.pool._idle[("127.0.0.1", upstream.port, None)]
        pair.downstream.data_received(GET)
        assert pair.downstream._exchange is pair.downstream._fast_path
        kept.transport.abort()
        await until(told, "the client is answered")
        assert pair.client.take() == first
        assert (upstream.connections, gateway.stats.upstream_retries) == (2, 1)
        gateway.close()


async def test_the_clients_end_frees_the_connection_without_a_collection(tmp_path: Path) -> None:
    gateway = gateway_in(tmp_path)
    wire = Kept()
    downstream = Downstream(gateway, gateway.settings.listeners[0])
    downstream.connection_made(wire)
    held = weakref.ref(wire)  # by its connection
    gc.disable()
    try:
        downstream.connection_lost(None)
        del downstream, wire
        assert held() is None
    finally:
        gc.enable()
    gateway.close()
