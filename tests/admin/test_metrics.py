"""GET /metrics on the status API and on the Admin API."""

import math

import pytest

from node.metrics.families import METRICS
from node.plugins.series import series_name
from node.proxy.health.settings import Target
from tests.admin.client import Client
from tests.admin.small_node import SmallNode
from tests.metrics.exposition import Exposed, read


async def scrape(api: Client) -> Exposed:
    answer = await api.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.body.decode())


async def test_every_counter_that_is_declared_shows_zero(
    status_api: Client, node: SmallNode
) -> None:
    node.counted = {}
    exposed = await scrape(status_api)
    own = {name for name in exposed.types if not name.startswith("kong_")}
    assert own == {metric.family.name for metric in METRICS}
    counters = [name for name, kind in exposed.types.items() if kind == "counter"]
    shown = {name: value for (name, _), value in exposed.samples.items() if name in counters}
    assert set(shown) == set(counters)
    del shown["grapevine_proxy_requests_total"]  # what the small node's workers have served
    assert set(shown.values()) == {0}


async def test_counters_come_with_their_meaning(status_api: Client, node: SmallNode) -> None:
    node.counted = {"dropped_forged": 3, "writes_refused": 2, "worker_restarts": 1}
    exposed = await scrape(status_api)
    assert exposed.value("grapevine_gossip_dropped_forged_total") == 3
    assert exposed.value("grapevine_authority_writes_refused_total") == 2
    assert exposed.value("grapevine_worker_restarts_total") == 1
    text = exposed.helps["grapevine_gossip_dropped_forged_total"]
    assert text == "Sealed packets or frames that don't authenticate."


async def test_members_are_counted_by_status_and_never_named(
    status_api: Client, node: SmallNode
) -> None:
    node.peers = [
        {**node.members()[0], "id": f"id{number}", "status": status, "name": f"other{number}"}
        for number, status in enumerate(["alive"] * 998 + ["failed"])
    ]
    body = (await status_api.get("/metrics")).body.decode()
    exposed = read(body)
    statuses = ("alive", "suspect", "failed", "leaving", "left")
    found = {status: exposed.value("grapevine_members", status=status) for status in statuses}
    assert found == {"alive": 999, "suspect": 0, "failed": 1, "leaving": 0, "left": 0}
    assert "other1" not in body
    assert len(exposed.samples) < 500


async def test_the_node_and_its_database_are_told(status_api: Client, node: SmallNode) -> None:
    node.down, node.readiness = "gone", (False, "no configuration loaded yet")
    exposed = await scrape(status_api)
    revision = node.head().version.revision
    assert exposed.value("grapevine_revision") == revision
    assert exposed.value("grapevine_replica_file_revision") == revision
    assert exposed.value("grapevine_database_reachable") == 0
    assert exposed.value("grapevine_ready") == 0
    assert exposed.value("grapevine_confirmation_age_seconds") == 2.5
    assert exposed.value("grapevine_info", version="0.1.0") == 1
    assert exposed.value("grapevine_replica_damaged") == 0
    assert exposed.value("grapevine_database_rows_refused") == 2


async def test_a_head_that_nobody_has_seen_is_infinitely_old(
    status_api: Client, node: SmallNode
) -> None:
    node.heard_ago = math.inf
    assert (await scrape(status_api)).value("grapevine_confirmation_age_seconds") == math.inf


async def test_requests_to_the_admin_api_are_counted_and_timed(
    admin: Client, status_api: Client
) -> None:
    for path in ("/services", "/services", "/services/none"):
        await admin.get(path)
    await status_api.get("/status")  # no request to the Admin API
    exposed = await scrape(status_api)
    assert exposed.value("grapevine_admin_requests_total", **{"class": "2xx"}) == 2
    assert exposed.value("grapevine_admin_requests_total", **{"class": "4xx"}) == 1
    assert exposed.value("grapevine_admin_request_seconds_count") == 3


async def test_the_admin_api_serves_the_same_metrics(admin: Client, status_api: Client) -> None:
    assert (await scrape(admin)).types == (await scrape(status_api)).types


async def test_propagation_is_in_metrics_cluster_and_status(admin: Client, node: SmallNode) -> None:
    for delay in (0.002, 0.004, None, 0.030):
        node.measures.propagation.observe(delay, 1)
    exposed = await scrape(admin)
    assert exposed.value("grapevine_propagation_seconds_bucket", le="0.005") == 2
    assert exposed.value("grapevine_propagation_seconds_bucket", le="0.05") == 3
    assert exposed.value("grapevine_propagation_hops_bucket", le="1") == 3
    summary = {"count": 3, "p50": 0.004, "p99": 0.03, "max": 0.03}
    assert (await admin.get("/cluster")).json["propagation"] == summary
    assert (await admin.get("/status")).json["cluster"]["propagation"] == summary


async def test_what_the_plugin_prometheus_counts_is_shown_as_kong_shows_it(
    status_api: Client, node: SmallNode
) -> None:
    of = ("svc", 'r"t')
    node.labelled = {
        series_name("kong_http_requests_total", (*of, "200", "service", "default", "")): 3,
        series_name("kong_kong_latency_ms#2", (*of, "default")): 2,
        series_name("kong_kong_latency_ms#sum", (*of, "default")): 9,
        "series_dropped": 4,
        "kong_http_requests_total": 5,
    }
    exposed = await scrape(status_api)
    labels = {"service": "svc", "route": 'r"t', "workspace": "default"}
    requests = {**labels, "code": "200", "source": "service", "consumer": ""}
    assert exposed.value("kong_http_requests_total", **requests) == 3
    assert exposed.value("kong_kong_latency_ms_bucket", le="2", **labels) == 0
    assert exposed.value("kong_kong_latency_ms_bucket", le="5", **labels) == 2
    assert exposed.value("kong_kong_latency_ms_sum", **labels) == 9
    assert exposed.types["kong_kong_latency_ms"] == "histogram"
    assert exposed.value("kong_nginx_metric_errors_total") == 4
    assert exposed.value("kong_datastore_reachable") == 1
    assert "kong_bandwidth_bytes" not in exposed.types


@pytest.mark.parametrize("overrides", [{"plugins": "off"}])
async def test_without_that_plugin_there_are_none_of_kongs(status_api: Client) -> None:
    assert not [name for name in (await scrape(status_api)).types if name.startswith("kong_")]


async def test_targets_health_is_shown_while_a_plugin_asks_for_it(
    admin: Client, status_api: Client, node: SmallNode
) -> None:
    checks = {"passive": {"unhealthy": {"tcp_failures": 1}}}
    await admin.post("/upstreams", json={"name": "u", "healthchecks": checks})
    node.health.out, node.health.unresolved = {"10.0.0.2"}, {"gone.test"}
    node.health.reports = [
        await node.health.report(Target("1", "u", host, port, 100))
        for host, port in (("10.0.0.1", 81), ("10.0.0.2", 82), ("gone.test", 83))
    ]
    name = "kong_upstream_target_health"
    assert name not in (await scrape(status_api)).types
    node.labelled = {name: 1}
    samples = (await scrape(status_api)).samples
    stands = {
        (dict(labels)["address"], dict(labels)["state"])
        for (sample, labels), value in samples.items()
        if sample == name and value == 1
    }
    assert stands == {("10.0.0.1:81", "healthy"), ("10.0.0.2:82", "unhealthy"), ("", "dns_error")}
