"""A worker's table compared with what it should hold: what memory has made of it shows."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from node.channel import Change
from node.proxy.router import Router
from node.proxy.table import Table
from node.proxy.traditional import TraditionalRouter
from tests.proxy.balancing.upstreams import target, upstream
from tests.proxy.process import route, service


class Held:
    """A table, and what was sent to it."""

    def __init__(self, *changes: Change, flavor: str = "traditional_compatible") -> None:
        self.refused: list[str] = []
        self.table = Table(self.refused.append, flavor=flavor)
        self.state: dict[tuple[str, str], str] = {}
        self.apply(*changes)

    def apply(self, *changes: Change) -> None:
        self.table.apply((1, 0, 1), changes)
        for kind, entity_id, text in changes:
            if text is None:
                self.state.pop((kind, entity_id), None)
            else:
                self.state[kind, entity_id] = text

    def difference(self) -> str:
        rows = [(kind, entity_id, text) for (kind, entity_id), text in self.state.items()]
        return self.table.difference(rows, Counter(kind for kind, _ in self.state))

    @property
    def router(self) -> Router:
        return self.table._router


TARGET = service("http://127.0.0.1:80")
ROUTE = route(
    TARGET,
    paths=["/a", "~/b/[0-9]+"],
    hosts=["a.test", "*.b.test", "c.*"],
    headers={"x-a": ["1", "~*b+"]},
    methods=["GET"],
)
OTHER = route(TARGET, paths=["/a"])
UPSTREAM = upstream("up.test")
MEMBER = target(UPSTREAM, "192.0.2.1:80")


@pytest.fixture
def held() -> Held:
    return Held(TARGET, ROUTE, OTHER, UPSTREAM, MEMBER, ("keys", "k", "{}"))


def test_what_was_applied_is_as_it_should_be(held: Held) -> None:
    assert held.difference() == ""


def candidate(held: Held) -> Any:
    return held.router._places[ROUTE[1]][0].candidate


def replace_route(held: Held) -> None:
    held.table.routes.held[ROUTE[1]] = held.table.routes.held[ROUTE[1]]._replace(strip_path=False)


def replace_service(held: Held) -> None:
    held.table.services.held[TARGET[1]] = held.table.services.held[TARGET[1]]._replace(port=81)


def lose_route(held: Held) -> None:
    del held.table.routes.held[ROUTE[1]]
    held.table.routes._left_out.add(ROUTE[1])


def lose_service(held: Held) -> None:
    del held.table.services.held[TARGET[1]]
    held.table.services.held["other"] = next(iter(Held(TARGET).table.services.held.values()))


def add_route(held: Held) -> None:
    held.table.apply((1, 0, 1), [route(TARGET, paths=["/ghost"])])


def add_service(held: Held) -> None:
    held.table.apply((1, 0, 1), [service("http://127.0.0.1:82")])


def route_by_another_object(held: Held) -> None:
    held.router.remove(ROUTE[1])
    held.router.add(held.table.routes.held[ROUTE[1]]._replace(methods=frozenset((b"POST",))))


def lose_from_router(held: Held) -> None:
    held.router.remove(ROUTE[1])


def lose_from_index(held: Held) -> None:
    held.router._hosts._indexes[0][b"a.test"].by_prefix.clear()


def lose_host(held: Held) -> None:
    del held.router._hosts._indexes[-1][b".b.test"]


def lose_length_of_hosts(held: Held) -> None:
    held.router._hosts._lengths[1].clear()


def lose_length_of_prefixes(held: Held) -> None:
    held.router._hosts._any._lengths = ()


def change_priority(held: Held) -> None:
    candidate(held).rank = (0, candidate(held).rank[1])


def change_path(held: Held) -> None:
    candidate(held).matched = b"/other"


def change_port(held: Held) -> None:
    candidate(held).port = 1


def change_expression(held: Held) -> None:
    for place in held.router._places[ROUTE[1]]:
        if place.candidate.regex is not None:
            place.candidate.regex = None
            return


def lose_header(held: Held) -> None:
    candidate(held).headers = []


def lose_upstreams_name(held: Held) -> None:
    held.table.upstreams._ids.clear()


def name_another_upstream(held: Held) -> None:
    held.table.upstreams._ids["up.test"] = "another"


def lose_target(held: Held) -> None:
    held.table.targets._of[UPSTREAM[1]].clear()


def replace_target(held: Held) -> None:
    targets = held.table.targets
    targets._of[UPSTREAM[1]][MEMBER[1]] = targets.held[MEMBER[1]]._replace(weight=1)


def lose_where_a_service_is(held: Held) -> None:
    held.table.services.peers.clear()


def pass_over(held: Held) -> None:
    held.router.pass_over(TARGET[1], True)


@pytest.mark.parametrize(
    "damage",
    [
        replace_route,
        replace_service,
        lose_route,
        lose_service,
        add_route,
        add_service,
        route_by_another_object,
        lose_from_router,
        lose_from_index,
        lose_host,
        lose_length_of_hosts,
        lose_length_of_prefixes,
        change_priority,
        change_path,
        change_port,
        change_expression,
        lose_header,
        pass_over,
        lose_upstreams_name,
        name_another_upstream,
        lose_target,
        replace_target,
        lose_where_a_service_is,
    ],
)
def test_damage_shows(held: Held, damage: Callable[[Held], None]) -> None:
    damage(held)
    assert held.difference() != ""


@pytest.mark.parametrize(
    "change",
    [
        ("routes", "r", "no JSON"),
        ("services", "s", "{}"),
        route(TARGET, paths=["~/a(?=b)"]),
        route(TARGET, protocols=["tcp"], paths=["/"]),
    ],
)
def test_what_can_not_be_used_is_no_difference(held: Held, change: Change) -> None:
    held.apply(change)
    assert held.difference() == ""
    held.apply((change[0], change[1], None))
    assert held.difference() == ""


def test_one_that_was_left_out_and_should_not_be_is_a_difference(held: Held) -> None:
    broken = route(TARGET, paths=["~/a(?=b)"])
    held.apply(broken)
    held.state["routes", broken[1]] = (route(TARGET, broken[1], paths=["/"])[2]) or ""
    assert broken[1] in held.difference()


@pytest.mark.parametrize("flavor", ["traditional_compatible", "traditional"])
@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_applied_is_as_it_should_be(seed: int, flavor: str) -> None:
    rng = random.Random(seed)
    held = Held(flavor=flavor)
    ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(8)]
    paths = [["/"], ["/a", "/b"], ["~/x/.*"], ["~("], ["/a", "~/a+"]]
    for _ in range(60):
        entity_id = rng.choice(ids)
        kind = rng.choice(["services", "routes"])
        if rng.random() < 0.3:
            held.apply((kind, entity_id, None))
        elif kind == "services":
            enabled = rng.random() < 0.7
            protocol = rng.choice(["http", "https", "tcp"])
            fields = {"id": entity_id, "host": rng.choice(["h", ""]), "protocol": protocol}
            held.apply((kind, entity_id, json.dumps({**fields, "enabled": enabled})))
        else:
            lists = {"paths": rng.choice(paths), "hosts": rng.choice([[], ["a", "*.b"]])}
            lists["protocols"] = rng.choice([["http"], ["tls"], ["http", "https"]])
            target = ("services", rng.choice(ids), "")
            held.apply(route(target, entity_id, **lists))
        assert held.difference() == ""


def test_damage_to_the_traditional_router_shows_too() -> None:
    held = Held(TARGET, ROUTE, OTHER, flavor="traditional")
    router = held.router
    assert isinstance(router, TraditionalRouter)
    assert held.difference() == ""
    route_held = held.table.routes.held[ROUTE[1]]
    router.remove(ROUTE[1])
    assert held.difference() != ""
    router.add(route_held)
    assert held.difference() == ""
    place = router._places[ROUTE[1]][0]
    place.candidate.rank = (0,)
    assert ROUTE[1] in held.difference()
