"""Whatever changes, a connection that remembers a decision is served as a new one is."""

import random
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.channel import Change, Snapshot
from node.plugins.bundled import cors
from node.proxy.error_log import ErrorLog
from node.proxy.gateway import Gateway
from tests.plugins.gateway import plugin
from tests.proxy.process import route, service
from tests.proxy.test_certificates import settings_with
from tests.proxy.test_decided_once import RESPONSES, Pair

HOSTS = ("a.test", "b.a.test", "*.test", "*.a.test", "a.*")
PATHS = ("/", "/a", "/a/b", "/b", "~/a.*b$", "~/[ab]+/b", "~/(?<first>[^/]+)/b")
ID = "00000000-0000-4000-8000-00000000000%d"
SERVICES = tuple(range(3))
ROUTES = tuple(range(3, 10))
FREE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(params=["traditional_compatible", "traditional"])
async def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    settings = settings_with(tmp_path)._replace(
        replica_file=str(tmp_path / "none"),
        router_flavor=request.param,
        upstream_keepalive_max_requests=10,
    )
    made = Gateway(settings, 1000, ErrorLog(0), lambda frame: None)
    yield made
    made.close()


class State:
    """What is configured, and the next changes of it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.held: dict[tuple[str, str], Change] = {}
        for number in SERVICES:
            self._keep(self._service(number))

    def change(self) -> tuple[Change, ...]:
        """Some changes, as one changeset."""
        return tuple(self._keep(self._one()) for _ in range(self._rng.choice((1, 1, 1, 3))))

    def _one(self) -> Change:
        what = self._rng.random()
        if what < 0.7:
            return self._route(self._rng.choice(ROUTES))
        if what < 0.8:
            return self._service(self._rng.choice(SERVICES))
        bound = [held for held in self.held.values() if held[0] == "plugins"]
        if bound and self._rng.random() < 0.6:
            return (*self._rng.choice(bound)[:2], None)
        scopes = [("route", ID % self._rng.choice(ROUTES)), ("service", ID % 1), ("", "")]
        scope, bound_to = self._rng.choice(scopes)
        scoped: dict[str, Any] = {scope: {"id": bound_to}} if scope else {}
        return plugin(self._rng.choice(("key-auth", "cors")), **scoped)

    def _service(self, number: int) -> Change:
        enabled = self._rng.random() < 0.8
        url = f"http://127.0.0.1:1/{number}/{self._rng.randrange(2)}"
        return service(url, ID % number, enabled=enabled)

    def _route(self, number: int) -> Change:
        rng = self._rng
        to = ("services", ID % rng.choice(SERVICES), "")
        if rng.random() < 0.3:
            return ("routes", ID % number, None)
        fields = {
            "hosts": rng.sample(HOSTS, rng.choice((0, 0, 1, 2))),
            "paths": rng.sample(PATHS, rng.choice((0, 1, 2))),
            "methods": rng.choice((None, None, ["GET"], ["POST"])),
            "headers": rng.choice((None, None, None, {"x": ["1"]})),
            "strip_path": rng.random() < 0.5,
            "preserve_host": rng.random() < 0.5,
            "protocols": rng.choice((["http"], ["http", "https"], ["https"])),
            "regex_priority": rng.randrange(2),
            "created_at": rng.randrange(5),
        }
        return route(to, ID % number, **fields)

    def _keep(self, change: Change) -> Change:
        if change[2] is None:
            self.held.pop(change[:2], None)
        else:
            self.held[change[:2]] = change
        return change


def heads() -> Iterator[bytes]:
    for method, target, host, own in (
        (b"GET", b"/", b"a.test", b""),
        (b"GET", b"/a/b", b"a.test", b""),
        (b"GET", b"/a/c/b?q", b"b.a.test", b"X: 1\r\n"),
        (b"POST", b"/b", b"c.test", b""),
        (b"POST", b"/a/b", b"a.example", b"X: 1\r\n"),
        (b"PUT", b"/c", b"other.example", b"X: 2\r\n"),
    ):
        length = b"Content-Length: 0\r\n" if method != b"GET" else b""
        yield b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (method, target, host, own, length)


def outcome(pair: Pair, request: bytes) -> tuple[bytes, bytes]:
    """What the upstream gets, and the client, whenever it was."""
    sent = pair.ask(request)
    answer, _ = pair.answer(*((FREE,) if sent else ()))
    return sent, re.sub(rb"\r\nDate: [^\r]*", b"", answer)


@pytest.mark.parametrize("seed", range(12))
async def test_after_any_change_a_kept_connection_is_served_as_a_new_one(
    gateway: Gateway, seed: int
) -> None:
    rng = random.Random(seed)
    state = State(rng)
    kept = {request: Pair(gateway) for request in heads()}
    gateway.load(Snapshot((1, 0, 1), tuple(state.held.values()), last=True, first=True))
    seen = set()
    for number in range(2, 60):
        changes = state.change()
        if rng.random() < 0.1:
            whole = tuple(state.held.values())
            gateway.load(Snapshot((1, 0, number), whole, last=True, first=True))
        else:
            gateway.apply((1, 0, number), changes)
        for request, pair in kept.items():
            if rng.random() < 0.2:
                continue  # it meets several changes at once
            expected = outcome(Pair(gateway), request)
            assert outcome(pair, request) == expected, changes
            seen.add(expected)
    assert len(seen) > 10


async def test_a_change_of_another_route_leaves_a_decision_as_it_is(gateway: Gateway) -> None:
    to = service("http://127.0.0.1:1")
    gateway.table.apply((1, 0, 1), [to, route(to, paths=["/"])])
    pair, request = Pair(gateway), next(heads())
    outcome(pair, request)
    decision = pair.downstream._known_decision()
    gateway.table.apply((1, 0, 2), [route(to, ID % 1, hosts=["other.test"])])
    assert pair.downstream._known_decision() is decision
    gateway.table.apply((1, 0, 3), [route(to, ID % 1, hosts=["a.test"], paths=["/"])])
    assert pair.downstream._known_decision() is not decision


async def test_a_change_that_no_decision_rests_on_has_none_renewed(gateway: Gateway) -> None:
    edition = gateway.table.edition
    gateway.table.apply((1, 0, 2), [("snis", ID % 1, "{}"), ("consumers", ID % 2, "{}")])
    assert gateway.table.edition is edition


async def test_a_plugin_that_runs_first_is_asked_about_a_head_that_is_known(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        cors.PLUGIN, "rewrite", lambda self, context: asked.append(context), raising=False
    )
    to = service("http://127.0.0.1:1")
    gateway.table.apply((1, 0, 1), [to, route(to, paths=["/"])])
    pair, request = Pair(gateway), next(heads())
    for version in (2, 3):
        outcome(pair, request)
        assert len(asked) == version - 2
        added = plugin("cors")
        gateway.table.apply((1, 0, version), [added])
    outcome(pair, request)
    assert len(asked) == 2
    assert pair.answer(RESPONSES["empty"])
