"""Kong's clients on clusters of real processes, behind a balancer as their users have it."""

import itertools
from typing import Any

import aiohttp
import pytest
from kong.client import Kong

from node.demo.cluster import LocalCluster
from node.demo.local_postgres import settings_for
from store.postgres_address import PostgresAddress
from tests.deck import Call, Deck
from tests.declarations import a_declaration
from tests.system.conftest import StartCluster

PLUGINS: dict[str, dict[str, Any]] = {
    "cors": {"max_age": 60},
    "key-auth": {"key_names": ["apikey", "x-key"]},
    "rate-limiting": {"minute": 5, "policy": "local"},
    "request-transformer": {"add": {"headers": ["x-a:b"]}},
}


def alternating(cluster: LocalCluster) -> Call:
    """A balancer without memory: each request goes to the next node."""
    turns = itertools.cycle(node.admin_url for node in cluster.nodes)

    async def call(method: str, path: str, body: Any) -> tuple[int, bytes]:
        options = {} if body is None else {"json": body}
        async with cluster.session.request(method, next(turns) + path, **options) as response:
            return response.status, await response.read()

    return call


@pytest.mark.long
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_two_syncs_through_alternating_nodes_are_one_write_of_each_entity(
    start_cluster: StartCluster, engine: str, postgres_database: PostgresAddress
) -> None:
    cluster = await start_cluster(
        3, settings_for(postgres_database) if engine == "postgres" else None
    )
    declaration = a_declaration(20, PLUGINS)
    call = alternating(cluster)
    first = await Deck(call).sync(declaration)
    assert len(first.created) == sum(map(len, declaration.values()))
    assert (await Deck(call).sync(declaration)).nothing
    assert (await Deck(call, page_size=3).sync(declaration)).nothing, "offsets lead on elsewhere"
    await cluster.until_revision(f"1.{len(first.created)}")


ROUTE = {"name": "r", "paths": ["/r"]}


async def test_aio_kong_applies_a_declaration_to_a_node_and_finds_it_on_another(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(2)
    wanted = {
        "plugins": [{"name": "key-auth", "config": {"hide_credentials": True}}],
        "services": [{"name": "s", "host": "h.test", "routes": [ROUTE]}],
        "consumers": [
            {
                "username": "bob",
                "groups": ["staff"],
                "auths": [{"type": "key-auth", "config": {"key": "k1"}}],
            }
        ],
    }
    first, second = (node.admin_url for node in cluster.nodes)
    async with aiohttp.ClientSession() as session:
        await Kong(first, session).apply_json(wanted)
        other = Kong(second, session)
        assert (await other.routes.get("r"))["paths"] == ["/r"]
        bob = await other.consumers.get("bob")
        assert [acl["group"] for acl in await bob.acls.get_list()] == ["staff"]
        (plugin,) = await other.plugins.get_full_list()
        assert plugin["config"]["hide_credentials"] is True
        await other.delete_all()
        assert await Kong(first, session).services.get_list() == []
