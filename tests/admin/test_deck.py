"""A sync as decK does it, through a balancer that sends each request to another node."""

import copy
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from node.admin.app import create_admin_app
from node.config.settings import Settings
from store.replica import Replica
from store.sqlite import SqliteAuthority
from tests.admin.client import Client
from tests.admin.conftest import Serve
from tests.admin.small_node import SmallNode
from tests.deck import Deck
from tests.declarations import Declaration, a_declaration, entity_id

PLUGINS: dict[str, dict[str, Any]] = {
    "cors": {},
    "key-auth": {"key_names": ["apikey", "x-key"]},
    "rate-limiting": {"minute": 5, "redis": {"host": "redis.test"}},
    "request-termination": {"status_code": 503},
    "response-transformer": {"add": {"headers": ["x-a:b"]}},
}


@pytest.fixture
async def nodes(
    settings: Settings, authority: SqliteAuthority, serve: Serve
) -> AsyncIterator[list[Client]]:
    """Three nodes on one authority, each with a connection of its own."""
    clients, authorities = [], []
    for _ in range(3):
        own = SqliteAuthority(settings.sqlite_path)
        info = await own.open()
        authorities.append(own)
        replica = Replica(info.id)
        replica.load(await own.state())
        clients.append(await serve(create_admin_app(SmallNode(settings, own, replica, info))))
    yield clients
    for own in authorities:
        await own.close()


class Balancer:
    """Sends each request to the next node, and counts those that write."""

    def __init__(self, nodes: list[Client]) -> None:
        self._turns = itertools.cycle(nodes)
        self.writes = 0

    async def call(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        options = {} if body is None else {"json": body}
        self.writes += method != "GET"
        answer = await next(self._turns).call(method, path, **options)
        return answer.status, answer.body


@pytest.fixture
def balancer(nodes: list[Client]) -> Balancer:
    return Balancer(nodes)


@pytest.fixture
def declaration() -> Declaration:
    return a_declaration(9, PLUGINS)


async def test_a_second_sync_finds_nothing_to_do(
    balancer: Balancer, declaration: Declaration
) -> None:
    deck = Deck(balancer.call)
    first = await deck.sync(declaration)
    assert len(first.created) == sum(map(len, declaration.values()))
    assert not first.updated
    assert not first.deleted
    balancer.writes = 0
    assert (await deck.sync(declaration)).nothing
    assert balancer.writes == 0


async def test_pages_go_on_where_another_node_left_off(
    balancer: Balancer, declaration: Declaration
) -> None:
    await Deck(balancer.call).sync(declaration)
    assert (await Deck(balancer.call, page_size=2).sync(declaration)).nothing


async def test_what_a_declaration_changes_or_drops_is_changed_or_deleted(
    balancer: Balancer, declaration: Declaration
) -> None:
    deck = Deck(balancer.call)
    await deck.sync(declaration)
    changed = copy.deepcopy(declaration)
    changed["services"][0]["retries"] = 9
    changed["targets"][0]["weight"] = 1
    for kind in ("routes", "services", "upstreams", "targets"):
        changed[kind].pop()
    changed["acls"].pop()
    changed["plugins"][0]["config"] = {"max_age": 60}
    done = await deck.sync(changed)
    assert not done.created
    assert sorted(done.updated) == sorted(
        [
            f"services {entity_id('s0')}",
            f"targets {entity_id('t0')}",
            f"plugins {entity_id('cors')}",
        ]
    )
    assert sorted(done.deleted) == sorted(
        [
            f"routes {entity_id('r8')}",
            f"services {entity_id('s8')}",
            f"upstreams {entity_id('u8')}",
            f"targets {entity_id('t8')}",
            f"acls {entity_id('acl-ops')}",
        ]
    )
    assert (await deck.sync(changed)).nothing


async def test_only_what_has_the_tags_is_touched(
    balancer: Balancer, declaration: Declaration, nodes: list[Client]
) -> None:
    await nodes[0].make_service("by-hand")
    deck = Deck(balancer.call)
    await deck.sync(declaration, tags="deck")
    assert (await deck.sync(declaration, tags="deck")).nothing
    emptied = await deck.sync({}, tags="deck")
    assert len(emptied.deleted) == sum(map(len, declaration.values()))
    assert [service["name"] for service in (await nodes[1].get("/services")).json["data"]] == [
        "by-hand"
    ]


async def test_numbers_are_written_as_go_reads_integers(nodes: list[Client]) -> None:
    """Of a number without a fraction Kong never prints one, and Go takes 1.0 for no integer."""
    fields = {"name": "u", "healthchecks": {"active": {"timeout": 2.0}, "threshold": 0.0}}
    answer = await nodes[0].post("/upstreams", json=fields)
    assert answer.status == 201, answer
    assert b'"timeout":2,' in answer.body
    assert b'"threshold":0,' in answer.body or b'"threshold":0}' in answer.body
    listed = await nodes[1].get("/upstreams")
    assert b".0" not in listed.body
