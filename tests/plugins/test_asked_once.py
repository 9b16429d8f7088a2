"""Whose requests are is found out once for the same header fields on one connection, and holds no
longer than it is true; limits count each of them all the same."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gossip.invalidation import By, Invalidation
from node.caches import ENTITIES
from node.channel import Change
from node.plugins import limits
from node.plugins.context import Context
from node.plugins.counters import Counter, SharedCounters, shared_memory
from node.plugins.fields import Edit
from node.plugins.interface import Plugin
from node.proxy.error_log import ErrorLog
from node.proxy.gateway import Gateway
from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config
from tests.plugins.gateway import consumer, fields_of, key_of, plugin, written
from tests.plugins.harness import SmallWorker, context_of, head, plugins_of, run_access
from tests.proxy.process import route, service
from tests.proxy.test_certificates import settings_with
from tests.proxy.test_decided_once import RESPONSES, Pair

TO = service("http://127.0.0.1:1", name="to")
PATHS = route(TO, paths=["/"])
ANN, BOB, EVE = consumer("ann"), consumer("bob"), consumer("eve")
KEY, BOBS, SOON = key_of(ANN, "k1"), key_of(BOB, "k2"), key_of(EVE, "k3", ttl=30)
AUTH = plugin("key-auth", {"key_names": ["apikey", "other"]}, service=TO)


class Clock:
    """Stands for the wall clock."""

    def __init__(self) -> None:
        self.now: float = fields_of(SOON)["expires_at"] - 30.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    return clock


@pytest.fixture
async def gateway(tmp_path: Path, clock: Clock) -> AsyncIterator[Gateway]:
    path = tmp_path / "replica.db"
    settings = settings_with(tmp_path)._replace(
        replica_file=str(path), upstream_keepalive_max_requests=1_000
    )
    made = Gateway(settings, 1000, ErrorLog(0), lambda frame: None)
    made.plugins.now = clock
    snapshot, kept = written([TO, PATHS, AUTH, ANN, BOB, EVE, KEY, BOBS, SOON], path)
    made.load(snapshot)
    made.cold.kept(kept.fill, kept.version)
    yield made
    made.close()


def change(gateway: Gateway, *changes: Change) -> None:
    """The next changeset."""
    epoch, history, number = gateway.table.version
    gateway.apply((epoch, history, number + 1), changes)


def gone(entity: Change) -> Change:
    return (*entity[:2], None)


def configured(entity: Change, **config: Any) -> Change:
    return plugin("key-auth", config, service=TO, id=entity[1])


def whose(pair: Pair, *fields: str, target: str = "/") -> str:
    """The consumer that the upstream is told, else the status that the client gets."""
    lines = [f"GET {target} HTTP/1.1", "Host: a", *fields, "", ""]
    sent = pair.ask("\r\n".join(lines).encode())
    answer, kept = pair.answer(*([RESPONSES["empty"]] if sent else []))
    assert kept
    if not sent:
        return answer[9:12].decode()
    assert answer.startswith(b"HTTP/1.1 200 ")
    told = re.findall(rb"X-Consumer-Username: (\w+)\r\n", sent)
    return b" ".join(told).decode()


def looked_up(gateway: Gateway) -> int:
    counted = gateway.cold.counters()
    return counted["cold_cached"] + counted["cold_read"]


async def test_requests_that_repeat_their_fields_need_no_look_up(gateway: Gateway) -> None:
    pair = Pair(gateway)
    assert whose(pair, "apikey: k1") == "ann"
    before = looked_up(gateway)
    for target in ("/", "/", "/other?a=b", "/"):
        assert whose(pair, "apikey: k1", target=target) == "ann"
    assert looked_up(gateway) == before
    assert whose(Pair(gateway), "apikey: k1") == "ann"
    assert looked_up(gateway) > before, "what is known belongs to the connection"


async def test_a_revoked_key_is_refused_from_the_next_request_on(gateway: Gateway) -> None:
    pair = Pair(gateway)
    for _ in range(3):
        assert whose(pair, "apikey: k1") == "ann"
    change(gateway, gone(KEY))
    assert whose(pair, "apikey: k1") == "401"
    assert whose(pair, "apikey: k1") == "401"
    change(gateway, KEY)
    assert whose(pair, "apikey: k1") == "ann"


async def test_a_key_revoked_while_its_request_is_at_the_upstream_serves_no_second_one(
    gateway: Gateway,
) -> None:
    pair = Pair(gateway)
    assert whose(pair, "apikey: k1") == "ann"
    assert pair.ask(b"GET / HTTP/1.1\r\nHost: a\r\napikey: k1\r\n\r\n")
    change(gateway, gone(KEY))
    assert pair.answer(RESPONSES["empty"])[0].startswith(b"HTTP/1.1 200 ")
    assert whose(pair, "apikey: k1") == "401"


async def test_a_key_that_goes_to_another_consumer_is_that_ones_at_once(gateway: Gateway) -> None:
    pair = Pair(gateway)
    for _ in range(3):
        assert whose(pair, "apikey: k1") == "ann"
    change(gateway, key_of(BOB, "k1", id=KEY[1]))
    assert whose(pair, "apikey: k1") == "bob"


async def test_a_consumer_that_is_deleted_or_renamed_is_so_at_once(gateway: Gateway) -> None:
    pair = Pair(gateway)
    for _ in range(3):
        assert whose(pair, "apikey: k1") == "ann"
    change(gateway, consumer("anna", id=ANN[1]))
    for _ in range(3):
        assert whose(pair, "apikey: k1") == "anna"
    change(gateway, gone(ANN))
    assert whose(pair, "apikey: k1") == "401"


async def test_a_key_that_expires_is_refused_from_that_second_on(
    gateway: Gateway, clock: Clock
) -> None:
    pair = Pair(gateway)
    assert whose(pair, "apikey: k3") == "eve"
    clock.now += 29
    assert whose(pair, "apikey: k3") == "eve"
    clock.now += 1
    assert whose(pair, "apikey: k3") == "401"


async def test_what_is_known_is_looked_up_anew_after_some_time(
    gateway: Gateway, clock: Clock
) -> None:
    pair = Pair(gateway)
    for seconds in (limits.KEPT_SECONDS_MAX, -5.0):  # clocks are set back, too
        assert whose(pair, "apikey: k1") == "ann"
        before = looked_up(gateway)
        clock.now += seconds
        assert whose(pair, "apikey: k1") == "ann"
        assert looked_up(gateway) > before


async def test_after_a_purge_or_another_whole_state_it_is_looked_up_anew(
    gateway: Gateway, tmp_path: Path
) -> None:
    pair = Pair(gateway)
    for by, text in (
        (By.ALL, ""),
        (By.TAG, "any"),
        (By.KEY, f"keyauth_credentials:{KEY[1]}::::"),
    ):
        assert whose(pair, "apikey: k1") == "ann"
        before = looked_up(gateway)
        gateway.caches.purge(Invalidation(ENTITIES, by, text), (0, 0, 0))
        assert whose(pair, "apikey: k1") == "ann"
        assert looked_up(gateway) > before, by
    snapshot, kept = written([TO, PATHS, AUTH, ANN], tmp_path / "other.db")
    (tmp_path / "other.db").rename(tmp_path / "replica.db")
    gateway.load(snapshot)
    gateway.cold.kept(kept.fill, kept.version)
    assert whose(pair, "apikey: k1") != "ann"


async def test_a_connection_that_alternates_keys_is_each_keys_owner(gateway: Gateway) -> None:
    pair = Pair(gateway)
    for _ in range(2):
        for key, name in (("k1", "ann"), ("k2", "bob"), ("k2", "bob"), ("no", "401"), ("", "401")):
            assert whose(pair, f"apikey: {key}") == name


async def test_a_query_that_goes_first_wins_over_fields_that_are_known(gateway: Gateway) -> None:
    pair = Pair(gateway)
    for _ in range(2):
        assert whose(pair, "other: k1") == "ann"
        assert whose(pair, "other: k1", target="/?apikey=k2") == "bob"
        assert whose(pair, "other: k1", target="/?apikey=k2&apikey=k1") == "401"
        assert whose(pair, target="/?apikey=k2") == "bob"
        assert whose(pair, target="/?apikey=k1") == "ann"


async def test_another_configuration_of_the_plugin_counts_at_once(gateway: Gateway) -> None:
    pair = Pair(gateway)
    for _ in range(3):
        assert whose(pair, "apikey: k1") == "ann"
    change(gateway, configured(AUTH, key_names=["mine"]))
    assert whose(pair, "apikey: k1") == "401"
    change(gateway, configured(AUTH, key_in_header=False))
    assert whose(pair, "apikey: k1") == "401"
    change(gateway, gone(AUTH))
    assert whose(pair, "apikey: k1") == "", "nobody says who asks"


async def test_the_anonymous_consumer_is_it_as_long_as_there_is_no_key(gateway: Gateway) -> None:
    change(gateway, configured(AUTH, anonymous=EVE[1]))
    pair = Pair(gateway)
    for _ in range(2):
        for key, name in (("k1", "ann"), ("k1", "ann"), ("nobody", "eve"), ("k2", "bob")):
            assert whose(pair, f"apikey: {key}") == name
        assert whose(pair) == "eve"
    change(gateway, gone(BOBS))
    assert whose(pair, "apikey: k2") == "eve"
    change(gateway, BOBS)
    assert whose(pair, "apikey: k2") == "bob"


@pytest.mark.parametrize("hides", [True, False])
async def test_a_hidden_key_stays_hidden_from_the_upstream(gateway: Gateway, hides: bool) -> None:
    change(gateway, configured(AUTH, hide_credentials=hides))
    pair = Pair(gateway)
    for target in ("/", "/", "/", "/?a=b", "/?a=b", "/?a=b&apikey=k1", "/", "/?apikey=k1&a=b"):
        sent = pair.ask(f"GET {target} HTTP/1.1\r\nHost: a\r\napikey: k1\r\nB: c\r\n\r\n".encode())
        assert b"X-Consumer-Username: ann\r\n" in sent
        assert b"\r\nB: c\r\n" in sent
        assert (b"apikey: k1" in sent, b"apikey=k1" in sent) == (
            not hides,
            not hides and "apikey" in target,
        )
        assert sent == Pair(gateway).ask(
            f"GET {target} HTTP/1.1\r\nHost: a\r\napikey: k1\r\nB: c\r\n\r\n".encode()
        )
        pair.answer(RESPONSES["empty"])


async def test_a_limit_holds_for_all_connections_and_workers_together(
    gateway: Gateway, tmp_path: Path
) -> None:
    descriptor = shared_memory(2)
    try:
        other = Gateway(
            gateway.settings._replace(worker=1, counters_fd=descriptor),
            1000,
            ErrorLog(0),
            lambda frame: None,
        )
        gateway.plugins.counters = SharedCounters(descriptor, 0)
        limiting = plugin("rate-limiting", {"hour": 7, "day": 9}, service=TO)
        snapshot, kept = written(
            [TO, PATHS, AUTH, limiting, ANN, BOB, KEY, BOBS], tmp_path / "next.db"
        )
        (tmp_path / "next.db").rename(tmp_path / "replica.db")
        for each in (gateway, other):
            each.load(snapshot)
            each.cold.kept(kept.fill, kept.version)
        pairs = [Pair(gateway), Pair(other), Pair(gateway)]
        for number in range(12):
            name = whose(pairs[number % 3], "apikey: k1")
            assert name == ("ann" if number < 7 else "429"), number
        assert whose(pairs[0], "apikey: k2") == "bob", "others have counters of their own"
        other.close()
    finally:
        os.close(descriptor)


class Turns(Plugin):
    """Does something else with each request."""

    schema = PluginSchema(
        name="turns", priority=1, config=config({"text": Field("string", "Unused.")})
    )
    version = "1"
    turn = 0

    def access(self, context: Context) -> None:
        self.turn += 1
        if self.turn % 5 == 1:
            context.query.set("a", "c")
        elif self.turn % 5 == 2:
            context.set_upstream_header("X-Turn", str(self.turn))
        elif self.turn % 5 == 3:
            context.set_upstream_path("/elsewhere")
        elif self.turn % 5 == 4:
            context.set_upstream_method("DELETE")


@pytest.mark.parametrize("is_alone", [False, True])
async def test_what_another_plugin_changes_now_and_then_is_sent_just_then(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    monkeypatch.setitem(gateway._maker._classes, "turns", Turns)
    change(gateway, ("plugins", "1", '{"id": "1", "name": "turns", "config": {}}'))
    if is_alone:
        change(gateway, gone(AUTH))
    pair, fields = Pair(gateway), " HTTP/1.1\r\n"
    for turn in range(1, 16):
        sent = pair.ask(b"GET /?a=b HTTP/1.1\r\nHost: a\r\napikey: k1\r\n\r\n").decode()
        start = ("GET /?a=b", "GET /?a=c", "GET /?a=b", "GET /elsewhere?a=b", "DELETE /?a=b")
        assert sent.startswith(start[turn % 5] + fields)
        assert ("X-Turn: " in sent) == (turn % 5 == 2)
        assert ("X-Consumer-Username: ann\r\n" in sent) == (not is_alone)
        pair.answer(RESPONSES["empty"])


class Waits(Plugin):
    """Has its context wait, by a plain method."""

    schema = PluginSchema(
        name="waits", priority=1, config=config({"text": Field("string", "Unused.")})
    )
    version = "1"

    def access(self, context: Context) -> Coroutine[Any, Any, None]:
        return context.wait(self._refuse(context))

    async def _refuse(self, context: Context) -> None:
        await asyncio.sleep(0)
        context.error(403, "no")


async def test_what_a_plugin_has_its_context_wait_for_is_waited_for(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gateway._maker._classes, "waits", Waits)
    change(gateway, ("plugins", "1", '{"id": "1", "name": "waits", "config": {}}'))
    pair = Pair(gateway)
    assert pair.ask(b"GET / HTTP/1.1\r\nHost: a\r\napikey: k1\r\n\r\n") == b""
    while not pair.client.written:
        await asyncio.sleep(0)
    assert pair.client.written.startswith(b"HTTP/1.1 403 ")
    assert pair.origin.written == b""


class Found:
    """Look-ups of what is given: texts by field and value."""

    edition: object = None

    def __init__(self, *entities: Change) -> None:
        self._texts: dict[tuple[str, str], tuple[str, ...]] = {}
        for kind, entity_id, text in entities:
            assert text is not None
            self._texts["id", entity_id] = (text,)
            if kind == "keyauth_credentials":
                self._texts["key", fields_of((kind, entity_id, text))["key"]] = (text,)

    def find_now(self, kind: str, field: str, value: str) -> tuple[str, ...]:
        return self._texts.get((field, value), ())

    async def find(self, kind: str, field: str, value: str) -> tuple[str, ...]:
        return self.find_now(kind, field, value)


class Swap(Plugin):
    """Puts one key after the other in place of the client's."""

    schema = PluginSchema(
        name="swap", priority=5_000, config=config({"text": Field("string", "Unused.")})
    )
    version = "1"
    turns: tuple[dict[str, str], ...] = ({}, {"apikey": "k2"}, {}, {"apikey": "k1"}, {})
    turn = -1

    def access(self, context: Context) -> None:
        Swap.turn += 1
        context.edit_upstream_headers(Edit(self.turns[Swap.turn]))


def test_what_a_plugin_before_it_has_changed_is_looked_at_each_time() -> None:
    worker = SmallWorker()
    worker.lookups = Found(ANN, BOB, KEY, BOBS)  # type: ignore[assignment]
    swap = ("plugins", "1", '{"id": "1", "name": "swap", "config": {}}')
    held = plugins_of(worker, AUTH_FOR_ALL, swap, known={"swap": Swap})
    request = head("/", "apikey: k1")
    for name in ("ann", "bob", "ann", "ann", "ann"):
        context = context_of(request, worker)
        _, outcome = run_access(context, held)
        assert outcome is None
        assert context.consumer is not None
        assert context.consumer.username == name


AUTH_FOR_ALL = plugin("key-auth", {})


def test_what_became_of_a_head_is_taken_again_only_for_the_same_query_and_method() -> None:
    worker, request, edit = SmallWorker(), head("/?a=b"), Edit({"X-One": "1"})
    first = context_of(request, worker)
    first.edit_upstream_headers(edit)
    first.query.set("a", "c")
    before = first.edited_head()
    assert before.query == b"?a=c"
    second = context_of(request, worker)
    second.edit_upstream_headers(edit)
    after = second.edited_head(before)
    assert after.query == b"?a=b"
    assert context_of(request, worker).edited_head(before) is request
    third = context_of(request, worker)
    third.edit_upstream_headers(edit)
    assert third.edited_head(after) is after


def test_prepared_lines_and_single_headers_go_together() -> None:
    response = context_of(head(), SmallWorker()).response
    response.put(frozenset((b"a", b"b")), b"A: 1\r\nB: 2: 3\r\n")
    assert response.edited
    assert response.lines_beside(frozenset((b"c",))) == b"A: 1\r\nB: 2: 3\r\n"
    assert response.lines_beside(frozenset((b"b",))) is None
    assert response.get_header("b") == "2: 3"
    response.put(frozenset((b"b",)), b"B: 4\r\n")
    response.add_header("A", "5")
    assert response.lines_beside(frozenset()) == b"A: 1\r\nB: 4\r\nA: 5\r\n"
    response.begin(200, lambda: [(b"a", b"0"), (b"c", b"6")], "service")
    assert list(response.pairs) == [(b"c", b"6"), (b"A", b"1"), (b"B", b"4"), (b"A", b"5")]


def test_a_limit_that_was_reached_refuses_though_its_count_gives_way_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = SmallWorker()
    held = plugins_of(worker, plugin("rate-limiting", {"hour": 1}))
    assert run_access(context_of(head(), worker), held)[1] is None
    monkeypatch.setattr(Counter, "count", lambda self, end: 0)  # another worker's has gone
    _, outcome = run_access(context_of(head(), worker), held)
    assert outcome is not None
    assert outcome.status == 429


def test_a_counter_whose_place_was_taken_goes_on_in_another_one() -> None:
    shared = SharedCounters(-1, 0)
    keys = [limits.RATE_BUCKETS * number + 7 for number in range(1, limits.RATE_WAYS + 2)]
    counter = shared.counter(keys[0])
    assert counter.count(60) == 0
    for _ in range(3):
        counter.add(60, now=1.0)
    assert counter.count(60) == shared.count(keys[0], 60) == 3
    assert shared.counter(keys[0]).count(60) == 3
    for key in keys[1:]:
        shared.add(key, 120, now=1.0)
    assert counter.count(60) == 0
    counter.add(180, now=1.0)
    assert counter.count(180) == shared.count(keys[0], 180) == 1
    counter.add(240, now=200.0)
    assert (counter.count(180), counter.count(240)) == (0, 1), "another period"
    shared.add(keys[0], 240, now=200.0, amount=2**40)
    counter.add(240, now=200.0)
    assert counter.count(240) == 2**32 - 1
    shared.close()
