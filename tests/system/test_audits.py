"""What was changed past the nodes is found and told; and what real nodes tell of it in metrics."""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.local_postgres import settings_for
from node.demo.upstream import SampleUpstream
from node.metrics.families import METRICS
from simulations.real.postgres import execute
from store.canonical import encode_entity
from store.postgres_address import PostgresAddress
from tests.metrics.exposition import Exposed, read
from tests.system.conftest import StartCluster
from tests.system.waiting import until

EVERY_SECOND = {"cluster_audit_interval": "1"}

ByHand = Callable[[str], Awaitable[None]]


async def scrape(cluster: LocalCluster, node: LocalNode) -> Exposed:
    async with cluster.session.get(f"{node.status_url}/metrics", raise_for_status=True) as answer:
        return read(await answer.text())


async def make_route(cluster: LocalCluster, upstream: SampleUpstream, name: str) -> dict[str, Any]:
    admin = cluster.nodes[0].admin_url
    service = await cluster.post_json(
        f"{admin}/services", {"name": name, "url": f"http://127.0.0.1:{upstream.port}"}
    )
    fields = {"name": name, "paths": [f"/{name}"], "service": {"id": service["id"]}}
    return await cluster.post_json(f"{admin}/routes", fields)


async def until_all_answer(cluster: LocalCluster, path: str, wanted: int) -> None:
    for node in cluster.nodes:

        async def answers(node: LocalNode = node) -> bool:
            async with cluster.session.get(f"{node.proxy_url}{path}") as response:
                await response.read()
                return response.status == wanted

        await until(answers, f"{node.name} answers {wanted} for {path}")


async def is_live_everywhere(
    cluster: LocalCluster, upstream: SampleUpstream, by_hand: ByHand
) -> None:
    """A route is changed and another one deleted by hand, and all nodes come to serve that."""
    changed = await make_route(cluster, upstream, "before")
    deleted = await make_route(cluster, upstream, "gone")
    for path in ("/before", "/gone"):
        await until_all_answer(cluster, path, 200)
    text = encode_entity({**changed, "paths": ["/after"]})
    await by_hand(f"UPDATE entity SET body = '{text}' WHERE id = '{changed['id']}'")
    for table in ("entity_reference", "entity_unique", "entity"):
        await by_hand(f"DELETE FROM {table} WHERE id = '{deleted['id']}'")
    await until_all_answer(cluster, "/after", 200)
    await until_all_answer(cluster, "/before", 404)
    await until_all_answer(cluster, "/gone", 404)
    counted = [
        (await scrape(cluster, node)).value("grapevine_cluster_audit_rows_spread_total")
        for node in cluster.nodes
    ]
    assert sorted(counted)[:-1] == [0.0] * (len(cluster.nodes) - 1), "one node audits"
    assert max(counted) == 2


async def test_a_row_changed_with_sqlite3_is_live_at_all_nodes_within_the_interval(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(3, EVERY_SECOND)

    async def by_hand(sql: str) -> None:
        with sqlite3.connect(cluster.home / "authority.db", timeout=10) as connection:
            connection.execute(sql)
        connection.close()

    await is_live_everywhere(cluster, upstream, by_hand)


@pytest.mark.long
async def test_a_row_changed_with_psql_is_live_at_all_nodes_within_the_interval(
    start_cluster: StartCluster, upstream: SampleUpstream, postgres_database: PostgresAddress
) -> None:
    cluster = await start_cluster(3, {**EVERY_SECOND, **settings_for(postgres_database)})

    async def by_hand(sql: str) -> None:
        await execute(postgres_database, f"SET search_path = grapevine; {sql}")

    await is_live_everywhere(cluster, upstream, by_hand)


async def test_a_row_that_does_not_validate_is_an_alarm_and_breaks_nothing(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(1, EVERY_SECOND)
    (node,) = cluster.nodes
    route = await make_route(cluster, upstream, "sound")
    await until_all_answer(cluster, "/sound", 200)
    text = encode_entity({**route, "paths": "no list"})
    with sqlite3.connect(cluster.home / "authority.db", timeout=10) as connection:
        connection.execute("UPDATE entity SET body = ? WHERE id = ?", (text, route["id"]))
    connection.close()

    async def is_told() -> bool:
        status = await cluster.get_json(f"{node.status_url}/status")
        told: int = status["cluster"]["audits"]["database"]["rows_refused"]
        return told == 1

    await until(is_told, "the alarm is in /status")
    await until_all_answer(cluster, "/sound", 200)
    assert route["id"] in node.log_tail(60)
    exposed = await scrape(cluster, node)
    assert exposed.value("grapevine_cluster_audit_rows_refused_total") >= 1
    assert exposed.value("grapevine_cluster_audit_rows_spread_total") == 0


async def test_everything_that_a_node_counts_is_in_its_metrics(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    await make_route(cluster, upstream, "counted")
    await until_all_answer(cluster, "/counted", 200)
    exposed = await scrape(cluster, second)
    ours = {name for name in exposed.types if not name.startswith("kong_")}
    assert ours == {metric.family.name for metric in METRICS}
    counters = (await cluster.get_json(f"{second.admin_url}/status"))["cluster"]["counters"]
    prefixes = ("", "authority_", "gossip_", "proxy_")
    missing = [
        name
        for name in counters
        if not any(f"grapevine_{prefix}{name}_total" in exposed.types for prefix in prefixes)
    ]
    assert missing == []
    assert exposed.value("grapevine_members", status="alive") == 2
    measured = exposed.value("grapevine_propagation_seconds_count")
    assert measured in (1, 2), "one may have been read at the database, on a slow machine"
    propagation = (await cluster.get_json(f"{second.admin_url}/cluster"))["propagation"]
    assert propagation["count"] == measured
    # 0: it came straight, and no round trip to its sender had been measured yet.
    assert 0 <= propagation["p50"] <= propagation["max"]
    assert (await scrape(cluster, first)).value("grapevine_authority_writes_committed_total") == 2

    async def is_timed() -> bool:
        exposed = await scrape(cluster, second)
        return exposed.value("grapevine_proxy_request_seconds_count") >= 1

    await until(is_timed, "the workers' latencies are told")
