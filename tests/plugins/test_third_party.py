"""A plugin of another package, end to end: found, configured, run, and kept from doing harm."""

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.plugins import registry
from store.schema import plugins as schemas
from tests.plugins.gateway import entity
from tests.plugins.packages import install
from tests.proxy.client import Response, connected
from tests.proxy.conftest import Origin, field
from tests.proxy.nursery import ROOT
from tests.proxy.process import route, running, service

NAMES = ("bundled", "stamp")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is on the path of this process and of those that it starts."""
    folder = str(install(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), folder)))
    monkeypatch.syspath_prepend(folder)
    for remembered in (registry.offered, registry.load):
        remembered.cache_clear()
    yield
    for remembered in (registry.offered, registry.load):
        remembered.cache_clear()
    schemas._declared.clear()
    sys.modules.pop("stamping", None)


def stamped(echo: Origin, **config: Any) -> list[Any]:
    registry.load("stamp")
    target = service(echo.url)
    made = entity("plugins", name="stamp", config={"text": "hi", **config})
    return [target, route(target, paths=["/"]), made]


async def answer_to(entities: list[Any], target: str = "/") -> tuple[Response, str]:
    """What a client gets, and what the worker says in its log."""
    async with running(entities, plugins=NAMES) as worker, connected(worker.port) as client:
        answer = await client.get(target)
        again = await client.get(target) if answer.field("Connection") == "keep-alive" else None
        assert again is None or again.status == answer.status, "the worker goes on"
    return answer, worker.log


@pytest.mark.parametrize("how", ["at once", "sleep", "time out"])
async def test_it_runs_whether_it_waits_or_not(installed: None, echo: Origin, how: str) -> None:
    answer, log = await answer_to(stamped(echo, how=how))
    assert answer.status == 200
    assert field(answer.text, "X-Stamp") == "hi"
    assert answer.field("X-Stamped") == "hi"
    assert "failed" not in log


async def test_it_may_answer_at_once_in_its_own_words(installed: None, echo: Origin) -> None:
    answer, _ = await answer_to(stamped(echo, how="exit"))
    assert answer.status == 201
    assert answer.body == b'{"stamp":"hi"}'
    assert answer.field("Content-Type") == "application/json; charset=utf-8"
    assert answer.field("X-Stamped") == "hi", "its header_filter runs, too"
    assert answer.field("X-Kong-Response-Latency") is not None
    assert echo.heads == []


async def test_global_ones_run_before_the_route_is_known(installed: None, echo: Origin) -> None:
    answer, _ = await answer_to(stamped(echo, how="rewrite"), "/a/../b")
    assert (answer.status, answer.body) == (418, b'{"path":"/b"}')


async def test_global_ones_see_what_leads_nowhere(installed: None, echo: Origin) -> None:
    target, _, made = stamped(echo, how="log")
    answer, log = await answer_to([target, route(target, paths=["/there"]), made], "/here")
    assert answer.status == 404
    assert answer.field("X-Stamped") == "hi"
    assert json.loads(answer.body)["message"] == "no Route matched with those values"
    assert "stamped" in log


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "ValueError('now')"),
        ("raise later", "ValueError('later')"),
        ("leave", "SystemExit(3)"),
        ("raise at the head", "ValueError('head')"),
        ("raise at the body", "ValueError('body')"),
    ],
)
async def test_one_that_raises_fails_its_request_and_nothing_else(
    installed: None, echo: Origin, how: str, reason: str
) -> None:
    answer, log = await answer_to(stamped(echo, how=how))
    assert answer.status == 500
    told = json.loads(answer.body)
    assert told["message"] == "An unexpected error occurred"
    assert answer.field("X-Kong-Request-Id") == told["request_id"]
    (line, *_) = [line for line in log.splitlines() if told["request_id"] in line]
    assert reason in line
    assert "stamping.py" in line


async def test_one_that_fails_in_the_log_has_let_the_answer_go(
    installed: None, echo: Origin
) -> None:
    answer, log = await answer_to(stamped(echo, how="raise in the log"))
    assert answer.status == 200
    assert "ValueError('log')" in log


async def test_it_may_rewrite_bodies_of_any_length(installed: None, echo: Origin) -> None:
    answer, _ = await answer_to(stamped(echo, how="shout"))
    assert answer.field("Content-Length") is None
    assert answer.text.startswith("GET / HTTP/1.1\r\nHOST: 127.0.0.1")
    assert answer.text.endswith("!")


async def test_a_client_that_goes_ends_what_it_waited_for(installed: None, echo: Origin) -> None:
    async with running(stamped(echo, how="for ever"), plugins=NAMES) as worker:
        async with connected(worker.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await worker.counted("total_requests")
            raw = client.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.writer.transport.abort()
        await worker.counted("clients_aborted")
        await worker.until(lambda: worker.stats["connections_active"] == 0)
    assert echo.heads == []


async def test_a_configuration_that_it_refuses_answers_500(installed: None, echo: Origin) -> None:
    answer, log = await answer_to(stamped(echo, text="unmakeable"))
    assert answer.status == 500
    assert "of all texts, this one" in log


async def test_where_it_is_not_enabled_it_is_not_ignored(installed: None, echo: Origin) -> None:
    async with (
        running(stamped(echo), plugins=("bundled",)) as worker,
        connected(worker.port) as client,
    ):
        assert (await client.get()).status == 500
    assert echo.heads == []


def test_an_entry_point_that_leads_nowhere_is_told(installed: None) -> None:
    classes, problems = registry.classes(("stamp", "broken"))
    assert list(classes) == ["stamp"]
    assert "plugin 'broken': stamping:Nothing can't be loaded" in problems[0]


def test_names_that_nobody_offers_stop_the_start(installed: None) -> None:
    from node.config.plugins import plugin_names

    assert plugin_names("bundled, stamp") == ("bundled", "stamp")
    with pytest.raises(ValueError, match="neither one of Kong's bundled plugins nor installed"):
        plugin_names("stump")


async def test_it_is_found_by_a_process_that_has_just_begun(installed: None) -> None:
    script = (
        "from node.config.plugins import on_server; import json; "
        "print(json.dumps(on_server(('stamp', 'jwt'))))"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-P", "-c", script], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {
        "available_on_server": {"stamp": {"version": "2.5.0", "priority": 905}},
        "unavailable": ["jwt"],
    }
