"""key-auth through a real worker: where keys are looked for, whom they make of a request, and what
is said to whoever has none."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.gateway import asking, consumer, key_of, plugged, plugin
from tests.proxy.client import connected
from tests.proxy.conftest import Origin, field
from tests.proxy.process import route, running, service

ANN = consumer("ann", custom_id="c1")
BOB = consumer("bob")
KEY = key_of(ANN, "k1")
BOBS = key_of(BOB, "k2")
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


def guarded(echo: Origin, **config: Any) -> list[Any]:
    target = service(echo.url)
    return [
        target,
        made := route(target, paths=["/"]),
        plugin("key-auth", config, route=made),
        ANN,
        BOB,
        KEY,
        BOBS,
    ]


async def test_a_key_tells_the_upstream_who_asks(echo: Origin, tmp_path: Path) -> None:
    async with (
        plugged(guarded(echo), tmp_path) as worker,
        connected(worker.port) as client,
    ):
        forged = "X-Consumer-Username: root\r\nX-Anonymous-Consumer: true\r\n"
        answer = await client.get("/", f"apikey: k1\r\n{forged}")
        assert answer.status == 200
        assert field(answer.text, "X-Consumer-ID") == ANN[1]
        assert field(answer.text, "X-Consumer-Custom-ID") == "c1"
        assert field(answer.text, "X-Consumer-Username") == "ann"
        assert field(answer.text, "X-Credential-Identifier") == KEY[1]
        assert field(answer.text, "X-Anonymous-Consumer") is None
        assert field(answer.text, "apikey") == "k1"


async def test_requests_alike_of_one_connection_are_each_their_own(
    echo: Origin, tmp_path: Path
) -> None:
    async with plugged(guarded(echo), tmp_path) as worker, connected(worker.port) as client:
        for path, name in (("/?apikey=k1", "ann"), ("/?apikey=k2", "bob"), ("/?apikey=k1", "ann")):
            answer = await client.get(path)
            assert field(answer.text, "X-Consumer-Username") == name
        assert (await client.get("/")).status == 401


@pytest.mark.parametrize(
    ("target", "fields", "message", "config"),
    [
        ("/", "", "No API key found in request", {}),
        ("/", "apikey: \r\n", "No API key found in request", {}),
        ("/?apikey", "", "No API key found in request", {}),
        ("/", "apikey: nobody\r\n", "Unauthorized", {}),
        ("/?apikey=%ff%00", "", "Unauthorized", {}),
        ("/", "apikey: k1\r\napikey: k1\r\n", "Duplicate API key found", {}),
        ("/?apikey=k1&apikey=k2", "", "Duplicate API key found", {}),
        ("/?apikey=k1", "", "No API key found in request", {"key_in_query": False}),
        ("/", "apikey: k1\r\n", "No API key found in request", {"key_in_header": False}),
        ("/?other=k1", "", "No API key found in request", {"key_names": ["mine"]}),
    ],
)
async def test_whoever_shows_no_key_that_counts_is_refused(
    echo: Origin,
    tmp_path: Path,
    target: str,
    fields: str,
    message: str,
    config: dict[str, Any],
) -> None:
    async with asking(guarded(echo, **config), tmp_path) as client:
        answer = await client.get(target, fields)
    assert answer.status == 401
    assert json.loads(answer.body)["message"] == message
    assert answer.field("WWW-Authenticate") == "Key"
    assert echo.heads == []


async def test_the_realm_is_named(echo: Origin, tmp_path: Path) -> None:
    async with asking(guarded(echo, realm="api"), tmp_path) as client:
        answer = await client.get()
    assert answer.field("WWW-Authenticate") == 'Key realm="api"'


async def test_credentials_are_hidden_from_the_upstream(echo: Origin, tmp_path: Path) -> None:
    config = {"hide_credentials": True, "key_in_body": True}
    async with asking(guarded(echo, **config), tmp_path) as client:
        answer = await client.get("/?b=2&apikey=k1&a=1")
        assert answer.text.startswith("GET /?b=2&a=1 HTTP/1.1\r\n")
        answer = await client.get("/", "APIKey: k1\r\n")
        assert field(answer.text, "apikey") is None
        body = b"x=1&apikey=k1"
        head = f"POST / HTTP/1.1\r\nHost: a\r\n{FORM}Content-Length: {len(body)}\r\n\r\n"
        answer = await client.ask(head.encode() + body)
        assert answer.text.endswith(
            "Content-Length: 3\r\nVia: 1.1 grapevine/0.1.0\r\n"
            f"X-Kong-Request-Id: {answer.field('X-Kong-Request-Id')}"
            "\r\n\r\nx=1"
        )
        answer = await client.ask(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        )
        assert answer.status == 100
        client.send(b'10\r\n{"apikey": "k1",\r\n8\r\n "a": 1}\r\n0\r\n\r\n')
        answer = await client.response()
        assert answer.status == 200
        assert answer.text.endswith('\r\n\r\n{"a":1}')
        assert field(answer.text, "Transfer-Encoding") is None


async def test_a_body_that_is_too_large_to_be_looked_at_holds_no_key(
    echo: Origin, tmp_path: Path
) -> None:
    async with asking(guarded(echo, key_in_body=True, anonymous="bob"), tmp_path) as client:
        size = 1024 * 1024 + 1
        head = f"POST / HTTP/1.1\r\nHost: a\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n"
        body = b"apikey=k1&x=".ljust(size, b"y")
        client.send(head.encode() + b"%x\r\n" % size + body + b"\r\n0\r\n\r\n")
        answer = await client.response()
    assert answer.status == 200
    assert field(answer.text, "X-Consumer-Username") == "bob"
    assert answer.body.endswith(body)


async def test_without_a_key_a_request_may_be_anonymous(echo: Origin, tmp_path: Path) -> None:
    async with asking(guarded(echo, anonymous="bob"), tmp_path) as client:
        for fields in ("", "apikey: wrong\r\nX-Credential-Identifier: 1\r\n"):
            answer = await client.get("/", fields)
            assert field(answer.text, "X-Consumer-Username") == "bob"
            assert field(answer.text, "X-Anonymous-Consumer") == "true"
            assert field(answer.text, "X-Credential-Identifier") is None
        answer = await client.get("/", "apikey: k1\r\n")
        assert field(answer.text, "X-Consumer-Username") == "ann"


async def test_an_anonymous_consumer_that_is_not_there_is_our_mistake(
    echo: Origin, tmp_path: Path
) -> None:
    async with asking(guarded(echo, anonymous="eve"), tmp_path) as client:
        answer = await client.get()
    assert answer.status == 500
    assert json.loads(answer.body)["message"] == "An unexpected error occurred"


async def test_preflights_may_pass(echo: Origin, tmp_path: Path) -> None:
    request = b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n"
    for folder, (run, status) in enumerate([(True, 401), (False, 200)]):
        (tmp_path / str(folder)).mkdir()
        entities = guarded(echo, run_on_preflight=run)
        async with asking(entities, tmp_path / str(folder)) as client:
            assert (await client.ask(request)).status == status


async def test_a_key_that_has_expired_is_none(echo: Origin, tmp_path: Path) -> None:
    old = (
        "keyauth_credentials",
        KEY[1],
        json.dumps({"id": KEY[1], "consumer": {"id": ANN[1]}, "key": "k1", "expires_at": 1_000}),
    )
    entities = [each for each in guarded(echo) if each is not KEY]
    async with plugged([*entities, old], tmp_path) as worker, connected(worker.port) as client:
        answer = await client.get("/", "apikey: k1\r\n")
    assert (answer.status, json.loads(answer.body)["message"]) == (401, "Unauthorized")


async def test_a_key_that_is_revoked_is_none_from_that_version_on(
    echo: Origin, tmp_path: Path
) -> None:
    async with plugged(guarded(echo), tmp_path) as worker, connected(worker.port) as client:
        assert (await client.get("/", "apikey: k1\r\n")).status == 200
        await worker.apply(("keyauth_credentials", KEY[1], None))
        assert (await client.get("/", "apikey: k1\r\n")).status == 401


async def test_a_key_that_nobody_can_look_up_is_no_wrong_key(echo: Origin, tmp_path: Path) -> None:
    entities = guarded(echo)
    hot = tuple(each for each in entities if each[0] in ("services", "routes", "plugins"))
    async with running(hot) as worker, connected(worker.port) as client:
        answer = await client.get("/", "apikey: k1\r\n")
    assert answer.status == 503
    assert answer.field("Retry-After") == "1"
    assert "try again" in json.loads(answer.body)["message"]
    assert echo.heads == []
