"""Which configuration of each plugin runs, in which order, and what finding out costs."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.channel import Change
from node.plugins.chain import NOTHING, Chain
from node.plugins.context import Consumer, Context
from node.plugins.holding import Place, Plugins
from node.plugins.interface import Bound, Plugin, Worker
from node.plugins.making import Maker
from node.proxy.table import Table
from node.proxy.vaults import Vaults
from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config
from tests.plugins.gateway import entity, plugin
from tests.plugins.harness import SmallWorker, context_of, head, run_access
from tests.proxy.process import route, service

SCOPES = ("route", "service", "consumer")
MOST_SPECIFIC_FIRST = (
    ("route", "service", "consumer"),
    ("route", "consumer"),
    ("service", "consumer"),
    ("route", "service"),
    ("consumer",),
    ("route",),
    ("service",),
    (),
)
"""KONG.md 1.8; Kong: lookup_cfg in runloop/plugins_iterator.lua."""


class Recorder(Plugin):
    """Notes whose turn it was."""

    schema = PluginSchema("recorder", 500, config({}))
    version = "1"

    def __init__(self, config: Any, bound: Bound, worker: Worker) -> None:
        self.bound = bound

    def access(self, context: Context) -> None:
        context.shared.setdefault("ran", []).append((type(self).name, self.bound.id))


def recorder(name: str, priority: int) -> type[Plugin]:
    schema = PluginSchema(name, priority, config({}))
    return type("Another", (Recorder,), {"schema": schema, "version": "1"})


class Knower(Recorder):
    """Says who asks."""

    schema = PluginSchema("knower", 600, config({}))
    version = "1"

    def access(self, context: Context) -> None:
        super().access(context)
        context.authenticate(Consumer("c", "c", ""), {"id": "cred"})


def bound(name: str, number: int, scopes: tuple[str, ...], **fields: Any) -> Change:
    stored = {"id": f"{name}-{number}", "name": name, "config": {}, **fields}
    stored |= {scope: {"id": {"consumer": "c"}.get(scope, scope)} for scope in scopes}
    return ("plugins", stored["id"], json.dumps(stored))


def holding(classes: list[type[Plugin]], refused: list[str] | None = None) -> Plugins:
    maker = Maker({each.name: each for each in classes}, SmallWorker())
    told = (refused if refused is not None else []).append
    return Plugins(maker, told, Vaults(told))


def ids(held: Plugins, *place: str) -> list[str]:
    return [each.plugin.bound.id for each in held.chain(*place).configured]  # type: ignore[attr-defined]


@given(st.lists(st.sampled_from(range(8)), unique=True, min_size=1), st.randoms())
def test_the_most_specific_configuration_of_a_plugin_runs(
    there: list[int], rng: random.Random
) -> None:
    held = holding([Recorder])
    rng.shuffle(there)
    for number in there:
        change = bound("recorder", number, MOST_SPECIFIC_FIRST[number])
        held.apply(change[1], change[2])
    known = {"route": "route", "service": "service", "consumer": "c"}
    for count in range(4):
        for scopes in itertools.combinations(SCOPES, count):
            fits = [at for at in sorted(there) if set(MOST_SPECIFIC_FIRST[at]) <= set(scopes)]
            place = [known[scope] if scope in scopes else "" for scope in SCOPES]
            assert ids(held, *place) == [f"recorder-{at}" for at in fits[:1]]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(MOST_SPECIFIC_FIRST), st.booleans()),
        max_size=24,
    )
)
def test_what_runs_is_as_if_it_had_been_there_from_the_start(steps: list[Any]) -> None:
    """However often it is asked in between, and whatever came and went before."""
    classes = [recorder(name, 10) for name in "abcd"]
    held = holding(classes)
    left: dict[str, Change] = {}
    places = [
        tuple({"consumer": "c"}.get(scope, scope) if scope in scopes else "" for scope in SCOPES)
        for count in range(4)
        for scopes in itertools.combinations(SCOPES, count)
    ]
    for name, scopes, stays in steps:
        change = bound(name, MOST_SPECIFIC_FIRST.index(scopes), scopes)
        held.apply(change[1], change[2] if stays else None)
        left.pop(change[1], None)
        if stays:
            left[change[1]] = change
        for place in places:
            held.chain(*place)
    fresh = holding(classes)
    for change in left.values():
        fresh.apply(change[1], change[2])
    for place in places:
        assert ids(held, *place) == ids(fresh, *place)
    assert held.misplaced() == ""


def test_higher_priorities_run_first_and_of_equals_the_last_name() -> None:
    order = [("b", 10), ("a", 10), ("z", 9), ("c", 20)]
    held = holding([recorder(name, priority) for name, priority in order])
    for name, _ in order:
        change = bound(name, 0, ())
        held.apply(change[1], change[2])
    context = context_of(head(), SmallWorker())
    run_access(context, held)
    assert [name for name, _ in context.shared["ran"]] == ["c", "b", "a", "z"]


def test_once_it_is_known_who_asks_the_later_plugins_are_that_consumers() -> None:
    before, after = recorder("before", 700), recorder("after", 100)
    held = holding([before, Knower, after, Recorder])
    for change in (
        bound("before", 0, ()),
        bound("before", 1, ("consumer",)),
        bound("knower", 0, ()),
        bound("after", 0, ()),
        bound("after", 1, ("consumer",)),
        bound("recorder", 1, ("consumer",)),
    ):
        held.apply(change[1], change[2])
    context = context_of(head(), SmallWorker())
    phases, _ = run_access(context, held)
    assert [each for _, each in context.shared["ran"]] == [
        "before-0",
        "knower-0",
        "recorder-1",
        "after-1",
    ]
    assert [each.name for each in phases.chain.configured] == [
        "before",
        "knower",
        "recorder",
        "after",
    ]


@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        ({"enabled": False}, False),
        ({"protocols": ["tcp", "tls"]}, False),
        ({"protocols": ["https"]}, True),
        ({"protocols": ["grpc", "tcp"]}, True),
        ({"enabled": None, "protocols": None}, True),
    ],
)
def test_disabled_ones_and_those_of_streams_do_not_run(fields: Any, runs: bool) -> None:
    held = holding([Recorder])
    change = bound("recorder", 0, (), **fields)
    held.apply(change[1], change[2])
    assert (held.chain("route", "service") is not NOTHING) == runs
    assert len(held) == 1, "it is audited all the same"
    assert held.is_as(change[1], change[2] or "")


def test_nothing_is_found_out_twice_until_a_plugin_changes() -> None:
    held = holding([Recorder])
    change = bound("recorder", 0, ("service",))
    held.apply(change[1], change[2])
    first = held.chain("route", "service")
    assert held.chain("route", "service") is first
    assert held.chain("route", "service", "somebody") is first, "no plugin is bound to that one"
    held.apply(change[1], change[2])
    assert held.chain("route", "service") is first, "it is what it was"
    other = bound("recorder", 1, ("route",))
    held.apply(other[1], other[2])
    assert ids(held, "route", "service") == ["recorder-1"]


def test_a_change_of_a_plugin_touches_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    target = service("http://127.0.0.1:80")
    table = Table(lambda reason: None)
    routes = [route(target, paths=[f"/{number}"]) for number in range(50)]
    table.apply((1, 0, 1), [target, *routes])
    for each in routes:
        table.plugins.chain(each[1], target[1])
    resolved: list[object] = []
    resolve = Plugins._resolve

    def noted(held: Plugins, place: Place) -> Chain:
        resolved.append(place)
        return resolve(held, place)

    monkeypatch.setattr(Plugins, "_resolve", noted)
    table.apply((1, 0, 2), [plugin("cors")])
    assert resolved == []
    table.plugins.chain(routes[7][1], target[1])
    table.plugins.chain(routes[7][1], target[1])
    assert len(resolved) == 1


def test_what_can_not_be_made_is_told_and_answers_500() -> None:
    class Choosy(Recorder):
        schema = PluginSchema("choosy", 5, config({}))
        version = "1"

        def __init__(self, config: Any, bound: Bound, worker: Worker) -> None:
            raise KeyError("colour")

    refused: list[str] = []
    held = holding([Choosy], refused)
    for name, word in (
        ("choosy", "colour"),
        ("gone", "isn't installed"),
        ("jwt", "isn't installed"),
    ):
        change = bound(name, 0, ())
        held.apply(change[1], change[2])
        assert word in refused[-1]
        assert "answered with 500" in refused[-1]
        _, outcome = run_access(context_of(head(), SmallWorker()), held)
        assert outcome is not None
        assert outcome.status == 500
        held.apply(change[1], None)
    assert held.chain("route", "service") is NOTHING


def test_what_is_stored_of_a_plugin_by_the_admin_api_is_read() -> None:
    target = service("http://127.0.0.1:80")
    held = holding([Recorder])
    change = entity("plugins", name="cors", service={"id": target[1]})
    held.apply(change[1], change[2])
    assert held.held[change[1]].bound == (change[1], "", target[1], "")


class Keeper(Plugin):
    """Keeps what it was made of."""

    schema = PluginSchema(
        "keeper",
        400,
        config({"secret": Field("string", referenceable=True), "text": Field("string")}),
    )
    version = "1"

    def __init__(self, config: Any, bound: Bound, worker: Worker) -> None:
        self.config = config

    def access(self, context: Context) -> None:
        """Nothing."""


def test_a_reference_in_a_configuration_is_read_where_its_schema_takes_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_KEY", "of a")
    monkeypatch.setenv("B_KEY", "of b")
    refused: list[str] = []
    table = Table(refused.append, Maker({"keeper": Keeper}, SmallWorker()))
    text = "{vault://mine/key}"
    change = bound("keeper", 1, (), config={"secret": text, "text": text})
    table.apply((1, 0, 1), [change])

    def made_of() -> Any:
        (configured,) = table.plugins.chain("", "").configured
        assert isinstance(configured.plugin, Keeper)
        return configured.plugin.config

    assert made_of() == {"secret": "", "text": text}
    assert "no vault 'mine'" in refused[0]
    for number, prefix in enumerate(("a_", "b_"), start=2):
        vault = {"id": "v", "name": "env", "prefix": "mine", "config": {"prefix": prefix}}
        table.apply((1, 0, number), [("vaults", "v", json.dumps(vault))])
        assert made_of() == {"secret": f"of {prefix[0]}", "text": text}
    assert table.difference([change], {"plugins": 1, "vaults": 1}) == ""
