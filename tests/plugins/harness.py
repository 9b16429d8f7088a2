"""Plugins in this process: a request, a chain of plugins, and what comes of it."""

from collections.abc import Coroutine, Mapping
from typing import Any

from node.plugins.chain import Chain
from node.plugins.context import Asker, Context
from node.plugins.counters import SharedCounters
from node.plugins.holding import Plugins
from node.plugins.interface import Exit, Plugin
from node.plugins.making import Maker
from node.plugins.phases import Phases
from node.plugins.registry import classes
from node.plugins.series import Series
from node.proxy.entities import Route, Service, read_route, read_service
from node.proxy.heads import HeadParser, RequestHead
from node.proxy.vaults import Vaults
from tests.plugins.gateway import plugin
from tests.proxy.process import route, service

SERVICE = service("http://127.0.0.1:80", name="svc")
ROUTE = route(SERVICE, paths=["/"], name="rt")


def read_both() -> tuple[Route, Service]:
    assert ROUTE[2] is not None
    assert SERVICE[2] is not None
    return read_route(ROUTE[2]), read_service(SERVICE[2])


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def warning(self, message: str, **fields: object) -> None:
        self.lines.append((message, fields))

    error = warning


class Nobody:
    """Look-ups that find nothing."""

    edition: object = None

    def find_now(self, kind: str, field: str, value: str) -> tuple[str, ...] | None:
        return ()

    async def find(self, kind: str, field: str, value: str) -> tuple[str, ...]:
        return ()


class SmallWorker:
    """Satisfies node.plugins.interface.Worker."""

    def __init__(self) -> None:
        self.log = Lines()
        self.lookups = Nobody()
        self.counters = SharedCounters(-1, 0)
        self.series = Series()
        self.time = 1_000_000_000.0
        self.work: list[Coroutine[Any, Any, None]] = []

    def now(self) -> float:
        return self.time

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.work.append(work)


def head(
    target: str = "/", *fields: str, method: str = "GET", body: bytes | None = None
) -> RequestHead:
    """A request's head, parsed."""
    lines = [f"{method} {target} HTTP/1.1", "Host: a.test", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    parsed = HeadParser().feed("\r\n".join([*lines, "", ""]).encode("latin-1"))
    assert parsed is not None
    return parsed


class OneRequest:
    """Satisfies node.plugins.context.Asked."""

    request_id = b"f" * 32

    def __init__(self, body: bytes | None, captures: Mapping[str | int, str]) -> None:
        self._body = body
        self._captures = captures

    def asker(self) -> Asker:
        return Asker("192.0.2.1", "http", 8000)

    def captures(self) -> Mapping[str | int, str]:
        return self._captures

    async def read_body(self) -> bytes | None:
        return self._body


def context_of(
    request: RequestHead,
    worker: SmallWorker,
    body: bytes | None = b"",
    captures: Mapping[str | int, str] | None = None,
) -> Context:
    """What plugins see of a request that has found its route."""

    context = Context(request, OneRequest(body, captures or {}), worker)
    context.route, context.service = read_both()
    return context


def ignore(reason: str) -> None:
    """For what isn't looked at."""


def plugins_of(
    worker: SmallWorker, *changes: Any, known: dict[str, type[Plugin]] | None = None
) -> Plugins:
    """The plugins that these entities make."""
    built, _ = classes(("bundled",))
    maker = Maker({**built, **(known or {})}, worker)
    held = Plugins(maker, ignore, Vaults(ignore))
    for _, entity_id, text in changes:
        held.apply(entity_id, text)
    return held


def run_access(context: Context, held: Plugins) -> tuple[Phases, Exit | None]:
    """Run the phase for a request whose plugins needn't wait."""
    assert context.route is not None
    chain: Chain = held.chain(context.route.id, context.route.service_id)
    phases, outcomes = Phases(context, lambda: held, chain), list[Exit | None]()
    phases.access(outcomes.append)
    (outcome,) = outcomes
    return phases, outcome


def one(name: str, worker: SmallWorker, **config: Any) -> Plugins:
    """One plugin for all requests."""
    return plugins_of(worker, plugin(name, config))


def sent_back(
    phases: Phases, status: int = 200, *fields: tuple[str, str], source: str = "service"
) -> dict[str, str]:
    """The answer's fields behind the plugins, lower-cased names; several values are joined."""
    pairs = [(name.encode(), value.encode()) for name, value in fields]
    phases.filter_head(status, lambda: pairs, source)
    shown: dict[str, str] = {}
    for name, value in phases.context.response.pairs:
        key = name.decode().lower()
        shown[key] = f"{shown[key]}, {value.decode()}" if key in shown else value.decode()
    return shown
