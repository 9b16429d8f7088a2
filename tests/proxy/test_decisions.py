"""The small decisions beside routing: deadlines, addresses, forms of errors, versions, logs."""

import asyncio
import json

import pytest

from node.proxy import errors, limits, revision
from node.proxy.access_log import asked, format_line, json_line
from node.proxy.annotations import Annotations
from node.proxy.deadlines import NEVER, NOWHERE, Wheel
from node.proxy.entities import EntityRefused, read_service
from node.proxy.error_log import LINES_PER_SECOND_MAX, ErrorLog
from node.proxy.forwarded import Peer, Trust
from node.proxy.heads import HeadParser, RequestHead
from node.proxy.resolver import Found, Record, ResolutionFailed, Resolver
from node.proxy.router import Request, Router
from node.proxy.table import Table
from tests.proxy.process import route, service


class Alarm:
    """Something with a deadline."""

    def __init__(self) -> None:
        self.deadline = NEVER
        self.turn = NOWHERE
        self.rang: list[float] = []

    def expire(self, now: float) -> None:
        self.rang.append(now)


def test_a_deadline_rings_once_and_not_before_its_time() -> None:
    wheel, alarm = Wheel(0.1), Alarm()
    wheel.arm(alarm, 10.05)
    for tenth in range(95, 120):
        wheel.advance(tenth / 10)
    assert len(alarm.rang) == 1
    assert 10.05 < alarm.rang[0] <= 10.25


def test_a_deadline_can_be_put_off_brought_forward_and_dropped() -> None:
    wheel = Wheel(0.1)
    later, sooner, dropped, forgotten = (Alarm() for _ in range(4))
    for alarm in (later, sooner, dropped, forgotten):
        wheel.arm(alarm, 5.0)
    later.deadline = 8.0
    wheel.arm(sooner, 2.0)
    dropped.deadline = NEVER
    wheel.disarm(forgotten)
    for second in range(1, 12):
        wheel.advance(float(second))
    assert [a.rang for a in (later, sooner, dropped, forgotten)] == [[9.0], [3.0], [], []]


def test_a_long_stall_rings_everything_that_became_due() -> None:
    wheel, alarms = Wheel(0.1), [Alarm() for _ in range(50)]
    for number, alarm in enumerate(alarms):
        wheel.arm(alarm, 1.0 + number)
    wheel.advance(1000.0)
    assert all(alarm.rang == [1000.0] for alarm in alarms)


def head_with(*fields: bytes) -> RequestHead:
    lines = b"".join(field + b"\r\n" for field in fields)
    head = HeadParser().feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    assert head is not None
    return head


@pytest.mark.parametrize(
    ("trusted", "header", "recursive", "field", "client"),
    [
        ((), "X-Real-IP", False, b"X-Real-IP: 1.1.1.1", b"10.0.0.1"),
        (("10.0.0.0/8",), "X-Real-IP", False, b"X-Real-IP: 1.1.1.1", b"1.1.1.1"),
        (("10.0.0.0/8",), "X-Real-IP", False, b"X-Other: x", b"10.0.0.1"),
        (("10.0.0.0/8",), "X-Real-IP", False, b"X-Real-IP: unknown", b"10.0.0.1"),
        (("10.0.0.0/8",), "X-Chain", False, b"X-Chain: 1.1.1.1, 10.9.9.9", b"10.9.9.9"),
        (("10.0.0.0/8",), "X-Forwarded-For", True, b"X-Forwarded-For: 1.1.1.1, x", b"10.0.0.1"),
        (("10.0.0.0/8",), "X-Chain", True, b"X-Chain: 1.1.1.1, 10.9.9.9", b"1.1.1.1"),
        (("10.0.0.0/8",), "CF-IP", False, b"cf-ip: [2001:db8::1]:443", b"2001:db8::1"),
        (("unix:", "::/0"), "X-Real-IP", False, b"X-Real-IP: 1.1.1.1", b"10.0.0.1"),
    ],
)
def test_the_clients_address(
    trusted: tuple[str, ...], header: str, recursive: bool, field: bytes, client: bytes
) -> None:
    trust = Trust(trusted, header, recursive)
    peer = Peer(b"10.0.0.1", trust.trusts(b"10.0.0.1"), False, b"", 80)
    assert trust.client_address(peer, head_with(field)) == client


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9", "text/html"),
        ("text/plain;q=0.2, application/xml;q=0.3", "application/xml"),
        ("image/png", "application/json"),
        ("application/json;q=x, text/plain;q=0.1", "text/plain"),
    ],
)
def test_the_form_of_an_error_follows_accept(accept: str, kind: str) -> None:
    assert errors.content_type(accept).startswith(kind)


def test_an_errors_text_is_escaped_for_its_form() -> None:
    text = '<"&\\>'
    parsed = json.loads(errors.body(text, b"1", errors.content_type("application/json")))
    assert parsed == {"message": text, "request_id": "1"}
    assert b'&lt;"&amp;\\&gt;' in errors.body(text, b"1", errors.content_type("text/html"))


@pytest.mark.parametrize(
    ("text", "version", "reached"),
    [
        ("1.5", (1, 9, 5), True),
        ("1.5", (1, 9, 4), False),
        ("1.5", (2, 9, 1), True),
        ("2.1", (1, 9, 9), False),
        ("1.5-00000000", (1, 9, 5), True),
        ("1.5-0000000A", (1, 0xA << 32, 5), True),
        ("1.5-ffffffff", (1, 9, 5), False),
    ],
)
def test_when_a_version_is_reached(text: str, version: tuple[int, int, int], reached: bool) -> None:
    assert revision.parse(text.encode()).reached_by(version) is reached


@pytest.mark.parametrize("text", [b"", b"5", b"1.x", b"1.-5", b"1.5-zz", b"1.5-", b"1.9" * 20])
def test_what_is_no_version_is_refused_by_value(text: bytes) -> None:
    with pytest.raises(ValueError, match="'"):
        revision.parse(text)


def test_a_log_line_can_not_be_forged_by_its_client() -> None:
    head = HeadParser().whole(
        b'GET /" HTTP/1.1\r\nHost: a\r\nUser-Agent: \xc3"\r\nX-Referer: b\r\n\r\n'
    )
    assert head is not None
    entry = (head, b"1.2.3.4", 200, 5, b"f" * 32, 0.0)
    line = format_line(entry, asked(head), b"now")
    assert line == (
        b'1.2.3.4 - - [now] "GET /\\x22 HTTP/1.1" 200 5 "-" "\\xC3\\x22" kong_request_id: "'
        + b"f" * 32
        + b'"\n'
    )
    read = json.loads(json_line(entry, asked(head), b"now"))
    assert read == {
        "time": "now",
        "client": "1.2.3.4",
        "request": 'GET /" HTTP/1.1',
        "status": 200,
        "bytes_sent": 5,
        "referer": "-",
        "user_agent": '\u00c3"',
        "request_id": "f" * 32,
    }


def test_the_error_log_is_bounded_and_says_what_it_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    log = ErrorLog(3, lambda: now)
    for _ in range(LINES_PER_SECOND_MAX + 7):
        log.error("upstream failed")
    now = 101.0
    log.warning("next")
    told = [(record.message, record.__dict__["fields"]) for record in caplog.records]
    assert told[:-2] == [("upstream failed", {"worker": 3})] * LINES_PER_SECOND_MAX
    assert told[-2:] == [("lines left out", {"worker": 3, "lines": 7}), ("next", {"worker": 3})]


def test_the_headers_setting_picks_single_fields() -> None:
    one = Annotations(("x-kong-upstream-status", "via"), "1.0").proxied(200, 0.1, 0.1, b"id")
    assert one == b"X-Kong-Upstream-Status: 200\r\nVia: 1.1 grapevine/1.0\r\n"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "x"}', '{"id": "x", "host": 5}'])
def test_a_service_without_sense_is_refused(text: str) -> None:
    with pytest.raises(EntityRefused):
        read_service(text)


def test_a_service_reaches_its_routes_whichever_comes_first() -> None:
    refused: list[str] = []
    table = Table(refused.append)
    target = service("http://127.0.0.1:80", enabled=False)
    request = Request(b"GET", b"a", b"/", False, b"", 80, lambda _: ())
    table.apply((1, 0, 1), [route(target, paths=["/"])])
    assert table.match(request) is not None
    table.apply((1, 0, 2), [target])
    assert table.match(request) is None
    table.apply((1, 0, 3), [service("http://127.0.0.1:80", target[1])])
    assert table.match(request) is not None
    assert (table.version, refused) == ((1, 0, 3), [])


def test_a_change_of_a_service_touches_none_of_its_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    target = service("http://127.0.0.1:80")
    table = Table(lambda reason: None)
    table.apply((1, 0, 1), [target, *(route(target, paths=[f"/{n}"]) for n in range(20))])
    touched: list[str] = []
    for name in ("add", "remove"):
        monkeypatch.setattr(Router, name, lambda router, route: touched.append(route))
    request = Request(b"GET", b"a", b"/7", False, b"", 80, lambda _: ())
    for enabled in (True, False, False, True):
        table.apply((1, 0, 2), [service("http://127.0.0.1:81", target[1], enabled=enabled)])
        assert (table.match(request) is not None) == enabled
    table.apply((1, 0, 3), [service("http://127.0.0.1:81", target[1], enabled=False)])
    table.apply((1, 0, 4), [("services", target[1], None)])
    assert table.match(request) is not None, "as Kong does: a route without a service is there"
    assert touched == []


def test_where_the_best_route_is_of_a_disabled_service_the_next_one_matches() -> None:
    on, off = service("http://127.0.0.1:80"), service("http://127.0.0.1:80", enabled=False)
    second, first = route(on, paths=["/"]), route(off, paths=["/a"])
    table = Table(lambda reason: None)
    table.apply((1, 0, 1), [on, off, first, second])
    match = table.match(Request(b"GET", b"a", b"/a", False, b"", 80, lambda _: ()))
    assert match is not None
    assert match.route.id == second[1]


def test_a_table_is_let_go_of_in_steps() -> None:
    target = service("http://127.0.0.1:80")
    table = Table(lambda reason: None)
    count = 3 * limits.DISMANTLED_AT_ONCE
    table.apply((1, 0, 1), [target, *(route(target, paths=[f"/{n}"]) for n in range(count))])
    request = Request(b"GET", b"a", b"/7", False, b"", 80, lambda _: ())
    assert table.match(request) is not None
    assert sum(1 for _ in table.dismantle()) == 4
    assert table.match(request) is None
    assert table.services.held == {}


class Names:
    """A name service to be switched off."""

    def __init__(self) -> None:
        self.asked = 0
        self.up = True

    async def look_up(self, name: str) -> Found:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.up:
            raise OSError("no answer")
        return Found((Record("192.0.2.1"),), 30.0)


async def test_names_are_remembered_and_outlive_their_server() -> None:
    names, now = Names(), 0.0
    resolver = Resolver(lambda: now, names.look_up, lambda name: None)
    first, second = await asyncio.gather(resolver.resolve("a"), resolver.resolve("a"))
    assert first == second == (Record("192.0.2.1"),)
    assert names.asked == 1
    now, names.up = 31.0, False
    assert await resolver.resolve("a") == first
    with pytest.raises(ResolutionFailed, match="'b' does not resolve: no answer"):
        await resolver.resolve("b")
    names.up = True
    with pytest.raises(ResolutionFailed):
        await resolver.resolve("b")
    now = 32.5
    assert await resolver.resolve("b") == first


async def test_literals_are_not_asked_for() -> None:
    names = Names()
    resolver = Resolver(lambda: 0.0, names.look_up, lambda name: None)
    assert [each.host for each in await resolver.resolve("::1")] == ["::1"]
    assert [each.host for each in await resolver.resolve("127.0.0.1")] == ["127.0.0.1"]
    assert names.asked == 0
