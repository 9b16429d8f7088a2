"""Paths that follow a foreign key: a service's routes, and a route's service."""

import uuid
from typing import Any

import pytest

from tests.admin.client import Client


@pytest.fixture
async def service(admin: Client) -> dict[str, Any]:
    return await admin.make_service("orders")


@pytest.fixture
async def route(admin: Client, service: dict[str, Any]) -> dict[str, Any]:
    answer = await admin.post("/services/orders/routes", json={"name": "r", "paths": ["/o"]})
    assert answer.status == 201
    created: dict[str, Any] = answer.json
    return created


async def test_a_route_posted_under_a_service_refers_to_it(
    service: dict[str, Any], route: dict[str, Any]
) -> None:
    assert route["service"] == {"id": service["id"]}


async def test_a_service_lists_its_own_routes_only(admin: Client, route: dict[str, Any]) -> None:
    await admin.make_service("other")
    await admin.post("/services/other/routes", json={"paths": ["/x"]})
    await admin.post("/routes", json={"paths": ["/nobody"]})
    assert (await admin.get("/services/orders/routes")).json["data"] == [route]


@pytest.mark.parametrize("key", ["r", "id"])
async def test_a_route_is_read_changed_and_deleted_under_its_service(
    admin: Client, route: dict[str, Any], key: str
) -> None:
    path = f"/services/orders/routes/{route.get(key, key)}"
    assert (await admin.get(path)).json == route
    assert (await admin.patch(path, json={"paths": ["/p"]})).json["paths"] == ["/p"]
    assert (await admin.delete(path)).status == 204
    assert (await admin.get(path)).status == 404


async def test_a_route_of_another_service_is_not_found_there(
    admin: Client, route: dict[str, Any]
) -> None:
    await admin.make_service("other")
    path = f"/services/other/routes/{route['id']}"
    assert (await admin.get(path)).status == 404
    assert (await admin.patch(path, json={"paths": ["/p"]})).status == 404
    assert (await admin.delete(path)).status == 404
    assert (await admin.get("/routes/r")).json == route


async def test_put_under_a_service_creates_a_route_of_it(
    admin: Client, service: dict[str, Any]
) -> None:
    answer = await admin.put("/services/orders/routes/new", json={"paths": ["/n"]})
    assert answer.status == 200
    assert answer.json["service"] == {"id": service["id"]}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_missing_parent_is_404(admin: Client, method: str) -> None:
    answer = await admin.call(method, "/services/nobody/routes", json={"paths": ["/x"]})
    assert (answer.status, answer.message) == (404, "Not found")


async def test_a_route_shows_and_changes_its_service(
    admin: Client, service: dict[str, Any], route: dict[str, Any]
) -> None:
    assert (await admin.get("/routes/r/service")).json == service
    assert (await admin.patch("/routes/r/service", json={"retries": 9})).json["retries"] == 9
    replaced = await admin.put("/routes/r/service", json={"host": "new.test"})
    assert (replaced.json["id"], replaced.json["retries"]) == (service["id"], 5)
    assert (await admin.delete("/routes/r/service")).status == 405


async def test_put_of_the_service_of_a_route_without_one_makes_and_links_it(admin: Client) -> None:
    await admin.post("/routes", json={"name": "alone", "paths": ["/a"]})
    assert (await admin.get("/routes/alone/service")).status == 404
    assert (await admin.patch("/routes/alone/service", json={"port": 1})).status == 404
    before = await admin.get("/cluster/revision")
    made = await admin.put("/routes/alone/service", json={"host": "made.test"})
    assert made.status == 200
    assert (await admin.get("/routes/alone")).json["service"] == {"id": made.json["id"]}
    epoch, _, revision = before.json["revision"].partition(".")
    assert made.headers["Grapevine-Revision"] == f"{epoch}.{int(revision) + 1}", "one write"


async def test_a_retry_of_that_put_answers_the_same_service(admin: Client) -> None:
    await admin.post("/routes", json={"name": "alone", "paths": ["/a"]})
    headers = {"Idempotency-Key": "once"}
    answers = [
        await admin.put("/routes/alone/service", json={"host": "made.test"}, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].status == 200
    assert answers[1].json == answers[0].json
    assert answers[1].headers["Grapevine-Revision"] == answers[0].headers["Grapevine-Revision"]


async def test_next_of_a_nested_list_names_the_parent_as_it_was_asked_for(
    admin: Client, route: dict[str, Any]
) -> None:
    await admin.post("/services/orders/routes", json={"paths": ["/2"]})
    first = (await admin.get("/services/orders/routes?size=1")).json
    assert first["next"] == f"/services/orders/routes?offset={first['offset']}"
    second = (await admin.get(f"{first['next']}&size=1")).json
    assert first["data"] != second["data"]
    assert second["next"] is None


async def test_a_route_of_nobody_has_no_service(admin: Client) -> None:
    assert (await admin.get(f"/routes/{uuid.uuid4()}/service")).status == 404
