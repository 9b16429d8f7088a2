"""Health of an upstream's targets: as this node sees it, and set for all, in Kong's words."""

from collections.abc import Mapping
from typing import Any

import pytest

from node.admin.node_view import AddressReport, NotAvailable, TargetReport
from node.proxy.health.settings import Target
from tests.admin.client import Client
from tests.admin.small_node import NODE_ID, SmallNode

CHECKS = {"passive": {"unhealthy": {"tcp_failures": 1}}}


async def make(
    admin: Client, checks: Mapping[str, Any] = CHECKS, targets: tuple[str, ...] = ("10.0.0.1:81",)
) -> dict[str, str]:
    """An upstream ``u`` with targets; their ids by address."""
    answer = await admin.post("/upstreams", json={"name": "u", "healthchecks": checks})
    assert answer.status == 201
    made = {"": answer.json["id"]}
    for target in targets:
        answer = await admin.post("/upstreams/u/targets", json={"target": target})
        assert answer.status == 201
        made[target] = answer.json["id"]
    return made


async def test_targets_are_shown_with_their_health_on_this_node(
    admin: Client, node: SmallNode
) -> None:
    await make(admin, targets=("10.0.0.1:81", "10.0.0.2:82"))
    node.health.out = {"10.0.0.2"}
    answer = await admin.get("/upstreams/u/health")
    assert answer.status == 200
    assert (answer.json["node_id"], answer.json["next"]) == (NODE_ID, None)
    shown = {one["target"]: one for one in answer.json["data"]}
    assert {name: one["health"] for name, one in shown.items()} == {
        "10.0.0.1:81": "HEALTHY",
        "10.0.0.2:82": "UNHEALTHY",
    }
    assert shown["10.0.0.2:82"]["weight"] == 100
    assert shown["10.0.0.2:82"]["data"] == {
        "host": "10.0.0.2",
        "port": 82,
        "dns": "A",
        "nodeWeight": 100,
        "weight": {"total": 100, "available": 0, "unavailable": 100},
        "addresses": [{"ip": "10.0.0.2", "port": 82, "weight": 100, "health": "UNHEALTHY"}],
    }


async def test_without_checks_that_is_said_and_without_addresses_too(
    admin: Client, node: SmallNode
) -> None:
    await make(admin, {}, ("10.0.0.1:81", "gone.test:81"))
    node.health.unresolved = {"gone.test"}
    data = (await admin.get("/upstreams/u/health")).json["data"]
    assert {one["target"]: one["health"] for one in data} == {
        "10.0.0.1:81": "HEALTHCHECKS_OFF",
        "gone.test:81": "DNS_ERROR",
    }
    (address,) = next(one for one in data if one["health"] == "HEALTHCHECKS_OFF")["data"][
        "addresses"
    ]
    assert address["health"] == "HEALTHCHECKS_OFF"


async def test_health_is_shown_in_pages(admin: Client) -> None:
    await make(admin, targets=("10.0.0.1:81", "10.0.0.2:82"))
    first = await admin.get("/upstreams/u/health?size=1")
    assert len(first.json["data"]) == 1
    assert first.json["next"].startswith("/upstreams/u/health?offset=")
    second = await admin.get(first.json["next"])
    assert second.json["next"] is None
    assert second.json["data"] != first.json["data"]


async def test_the_health_of_the_upstream_as_a_whole_is_shown(
    admin: Client, node: SmallNode
) -> None:
    made = await make(admin)
    target = Target(made["10.0.0.1:81"], made[""], "10.0.0.1", 81, 100)
    addresses = (AddressReport("10.0.0.1", 81, 100, True), AddressReport("10.0.0.9", 81, 50, False))
    node.health.reports = [TargetReport(target, addresses, "")]
    answer = await admin.get("/upstreams/u/health?balancer_health=1")
    assert (answer.json["node_id"], answer.json["next"]) == (NODE_ID, None)
    data = answer.json["data"]
    assert (data["id"], data["health"]) == (made[""], "HEALTHY")
    assert data["details"]["healthy"] is True
    weight = {"total": 150, "available": 100, "unavailable": 50}
    assert data["details"]["weight"] == weight
    assert data["details"]["hosts"][0]["addresses"] == [
        {"ip": "10.0.0.1", "port": 81, "weight": 100, "healthy": True},
        {"ip": "10.0.0.9", "port": 81, "weight": 50, "healthy": False},
    ]


async def test_an_upstream_that_checks_nothing_has_no_details(admin: Client) -> None:
    made = await make(admin, {})
    answer = await admin.get("/upstreams/u/health?balancer_health=1")
    assert answer.json["data"] == {"id": made[""], "health": "HEALTHCHECKS_OFF"}


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("healthy", [True, False])
@pytest.mark.parametrize("by", ["address", "id"])
async def test_a_targets_health_is_set(
    admin: Client, node: SmallNode, method: str, healthy: bool, by: str
) -> None:
    made = await make(admin)
    target_id = made["10.0.0.1:81"]
    key = target_id if by == "id" else "10.0.0.1:81"
    path = f"/upstreams/u/targets/{key}/{'healthy' if healthy else 'unhealthy'}"
    answer = await admin.call(method, path)
    assert (answer.status, answer.body) == (204, b"")
    assert node.health.settings == [(made[""], target_id, "", 0, healthy)]


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("10.0.0.7:81", "10.0.0.7", 81),
        ("10.0.0.7", "10.0.0.7", 8000),
        ("[::1]:81", "::1", 81),
    ],
)
async def test_the_health_of_one_address_of_a_target_is_set(
    admin: Client, node: SmallNode, given: str, host: str, port: int
) -> None:
    made = await make(admin, targets=("a.test:81",))
    answer = await admin.put(f"/upstreams/u/targets/a.test:81/{given}/unhealthy")
    assert answer.status == 204
    assert node.health.settings == [(made[""], made["a.test:81"], host, port, False)]


async def test_what_is_not_there_is_not_found(admin: Client) -> None:
    await make(admin)
    for path in (
        "/upstreams/none/health",
        "/upstreams/none/targets/10.0.0.1:81/healthy",
        "/upstreams/u/targets/10.0.0.9:81/healthy",
        "/upstreams/u/targets/6f3f9a3c-5a5c-4f3c-8f5e-3a3f1d2c4b5a/healthy",
    ):
        method = "GET" if path.endswith("/health") else "PUT"
        answer = await admin.call(method, path)
        assert (answer.status, answer.json) == (404, {"message": "Not found"}), path


async def test_health_that_is_not_checked_cannot_be_set(admin: Client, node: SmallNode) -> None:
    await make(admin, {})
    answer = await admin.put("/upstreams/u/targets/10.0.0.1:81/healthy")
    assert (answer.status, answer.json) == (400, {"message": "no healthchecker found for u"})
    assert node.health.settings == []


async def test_a_node_that_cannot_tell_the_others_says_so(admin: Client, node: SmallNode) -> None:
    await make(admin)
    node.health.refusal = NotAvailable("this node takes no part in gossip")
    answer = await admin.put("/upstreams/u/targets/10.0.0.1:81/healthy")
    assert answer.status == 503


async def test_the_openapi_document_has_these_endpoints(admin: Client) -> None:
    paths = (await admin.get("/openapi.json")).json["paths"]
    assert set(paths["/upstreams/{upstreams}/health"]) == {"get", "parameters"}
    for below in ("", "/{address}"):
        for state in ("healthy", "unhealthy"):
            path = f"/upstreams/{{upstreams}}/targets/{{targets}}{below}/{state}"
            assert {"put", "post"} <= set(paths[path])
