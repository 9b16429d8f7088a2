"""The built plugins together, in real workers."""

import os
from pathlib import Path

from node.plugins.counters import shared_memory
from tests.plugins.gateway import asking, consumer, entity, key_of, plugged, plugin
from tests.proxy.client import connected
from tests.proxy.conftest import Origin, field
from tests.proxy.process import route, running, service


async def test_the_workers_of_a_node_share_one_limit(echo: Origin) -> None:
    target = service(echo.url)
    entities = [target, route(target, paths=["/"]), plugin("rate-limiting", {"hour": 3})]
    descriptor = shared_memory(2)
    try:
        async with (
            running(entities, worker=0, counters_fd=descriptor) as one,
            running(entities, worker=1, counters_fd=descriptor) as other,
            connected(one.port) as first,
            connected(other.port) as second,
        ):
            statuses = [(await client.get()).status for client in (first, second) * 3]
    finally:
        os.close(descriptor)
    assert statuses == [200, 200, 200, 429, 429, 429]


async def test_limits_are_told_with_the_upstreams_answer_and_with_a_refusal(
    echo: Origin, tmp_path: Path
) -> None:
    target = service(echo.url)
    made = route(target, paths=["/"])
    ann, bob = consumer("ann"), consumer("bob")
    entities = [
        target,
        made,
        ann,
        bob,
        key_of(ann, "a"),
        key_of(bob, "b"),
        plugin("key-auth", {}, route=made),
        plugin("rate-limiting", {"hour": 1}),
        plugin("rate-limiting", {"hour": 5}, consumer=bob),
        plugin("cors", {"origins": ["http://a.test"]}),
    ]
    async with asking(entities, tmp_path) as client:
        first, second, third = [
            await client.get("/", f"apikey: {key}\r\nOrigin: http://a.test\r\n") for key in "aab"
        ]
    assert [each.status for each in (first, second, third)] == [200, 429, 200]
    assert first.field("RateLimit-Remaining") == "0"
    assert first.field("Server") == "origin"
    assert second.field("Retry-After") == second.field("RateLimit-Reset")
    assert second.field("Server") == "grapevine/0.1.0"
    assert third.field("X-RateLimit-Limit-Hour") == "5"
    for each in (first, second, third):
        assert each.field("Access-Control-Allow-Origin") == "http://a.test"


async def test_a_request_is_sent_on_as_the_transformer_leaves_it(
    echo: Origin, tmp_path: Path
) -> None:
    target = service(f"{echo.url}/base")
    made = route(target, paths=[r"~/users/(?P<user>[a-z]+)/(\d+)"])
    config = {
        "http_method": "PUT",
        "remove": {"headers": ["x-drop"], "querystring": ["secret"]},
        "replace": {"headers": ["host:inside.test"], "uri": "/u/$(uri_captures.user)"},
        "add": {"headers": ["x-number:$(uri_captures[2])"], "body": ["user:$(uri_captures[1])"]},
    }
    async with asking([target, made, plugin("request-transformer", config)], tmp_path) as client:
        answer = await client.ask(
            b"POST /users/ann/17?secret=1&b=2 HTTP/1.1\r\nHost: a.test\r\nX-Drop: 1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 7\r\n\r\n"
            b'{"a":1}'
        )
    assert answer.text.startswith("PUT /u/ann?b=2 HTTP/1.1\r\n")
    assert field(answer.text, "Host") == "inside.test"
    assert field(answer.text, "X-Drop") is None
    assert field(answer.text, "X-Number") == "17"
    assert field(answer.text, "Content-Length") == "20"
    assert answer.text.endswith('\r\n\r\n{"a":1,"user":"ann"}')


async def test_a_method_that_has_changed_changes_what_answers_look_like(
    echo: Origin, tmp_path: Path
) -> None:
    target = service(echo.url)
    made, other = route(target, paths=["/h"]), route(target, paths=["/g"])
    entities = [
        target,
        made,
        other,
        plugin("request-transformer", {"http_method": "HEAD"}, route=made),
        plugin("request-transformer", {"http_method": "GET"}, route=other),
    ]
    async with asking(entities, tmp_path) as client:
        answer = await client.ask(b"HEAD /g HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.status == 200
        answer = await client.get("/g")
        assert answer.text.startswith("GET / HTTP/1.1"), "the HEAD before it left no body"


async def test_plugins_come_change_and_go_between_two_requests(
    echo: Origin, tmp_path: Path
) -> None:
    target = service(echo.url)
    made = route(target, paths=["/"])

    def cors(origin: str) -> tuple[str, str, str | None]:
        config = {"origins": [origin]}
        return entity(
            "plugins",
            id="5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a",
            name="cors",
            config=config,
            route={"id": made[1]},
        )

    async with plugged([target, made], tmp_path) as worker, connected(worker.port) as client:
        told = []
        for change in (
            None,
            cors("http://a.test"),
            cors("http://b.test"),
            ("plugins", cors("http://c.test")[1], None),
        ):
            if change is not None:
                await worker.apply(change)
            told.append((await client.get()).field("Access-Control-Allow-Origin"))
        assert told == [None, "http://a.test", "http://b.test", None]
        assert worker.differs == []
