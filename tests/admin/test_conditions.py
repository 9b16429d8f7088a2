"""If-Match: a write happens only to what its client has seen."""

import asyncio

import pytest

from node.admin.conditions import if_match
from node.admin.errors import Refusal
from node.admin.limits import IF_MATCH_TAGS_MAX
from tests.admin.client import Client

METHODS = ("PATCH", "PUT", "DELETE")


@pytest.mark.parametrize("method", METHODS)
async def test_a_write_to_what_its_client_has_seen_happens(admin: Client, method: str) -> None:
    await admin.make_service("orders")
    seen = (await admin.get("/services/orders")).headers["ETag"]
    body = None if method == "DELETE" else {"host": "other.test"}
    answer = await admin.call(method, "/services/orders", json=body, headers={"If-Match": seen})
    assert answer.status == (204 if method == "DELETE" else 200)
    if method != "DELETE":
        assert answer.headers["ETag"] != seen
        assert answer.headers["ETag"] == (await admin.get("/services/orders")).headers["ETag"]


@pytest.mark.parametrize("method", METHODS)
async def test_a_write_to_what_has_changed_is_412_and_changes_nothing(
    admin: Client, method: str
) -> None:
    await admin.make_service("orders")
    seen = (await admin.get("/services/orders")).headers["ETag"]
    await admin.patch("/services/orders", json={"retries": 1})
    now = await admin.get("/services/orders")
    body = None if method == "DELETE" else {"host": "other.test"}
    answer = await admin.call(method, "/services/orders", json=body, headers={"If-Match": seen})
    assert (answer.status, "has changed" in answer.message) == (412, True)
    assert (await admin.get("/services/orders")).json == now.json


@pytest.mark.parametrize(("method", "status"), [("PATCH", 404), ("PUT", 412), ("DELETE", 412)])
async def test_a_condition_on_what_is_not_there_is_not_met(
    admin: Client, method: str, status: int
) -> None:
    body = None if method == "DELETE" else {"host": "other.test"}
    answer = await admin.call(method, "/services/none", json=body, headers={"If-Match": "*"})
    assert answer.status == status
    assert (await admin.get("/services")).json["data"] == []


async def test_of_two_that_change_what_both_have_seen_one_is_told(admin: Client) -> None:
    await admin.make_service("orders")
    seen = {"If-Match": (await admin.get("/services/orders")).headers["ETag"]}
    both = await asyncio.gather(
        *(admin.patch("/services/orders", json={"retries": n}, headers=seen) for n in (1, 2))
    )
    assert sorted(answer.status for answer in both) == [200, 412]
    (kept,) = [answer.json["retries"] for answer in both if answer.status == 200]
    assert (await admin.get("/services/orders")).json["retries"] == kept


async def test_a_nested_write_is_on_the_condition_of_the_entity_that_it_changes(
    admin: Client,
) -> None:
    service = await admin.make_service("orders")
    made = await admin.post("/services/orders/routes", json={"name": "r", "paths": ["/"]})
    service_tag = (await admin.get("/services/orders")).headers["ETag"]
    path = "/services/orders/routes/r"
    refused = await admin.patch(path, json={"name": "s"}, headers={"If-Match": service_tag})
    assert refused.status == 412
    taken = await admin.patch(path, json={"name": "s"}, headers={"If-Match": made.headers["ETag"]})
    assert taken.status == 200
    parent = await admin.patch(
        "/routes/s/service", json={"retries": 2}, headers={"If-Match": service_tag}
    )
    assert (parent.status, parent.json["id"]) == (200, service["id"])


async def test_a_new_entity_matches_nothing(admin: Client) -> None:
    answer = await admin.post("/services", json={"host": "h.test"}, headers={"If-Match": "*"})
    assert answer.status == 400
    assert (await admin.get("/services")).json["data"] == []


def test_several_tags_are_read_and_weak_ones_match_nothing() -> None:
    assert if_match("*") == ("*",)
    assert if_match('"a", "b"') == ("a", "b")
    assert if_match('W/"a"') == ("W/a",)
    assert if_match('"*"') == ('"*"',)


@pytest.mark.parametrize("value", ["", "a", '"a', 'a"', '"a" "b"', '"a",', '"a b"', '*, "a"'])
def test_what_is_no_tag_is_refused(value: str) -> None:
    with pytest.raises(Refusal, match="If-Match: expected") as refused:
        if_match(value)
    assert refused.value.status == 400


def test_tags_are_bounded() -> None:
    assert len(if_match(", ".join(['"a"'] * IF_MATCH_TAGS_MAX))) == IF_MATCH_TAGS_MAX
    with pytest.raises(Refusal, match="at most"):
        if_match(", ".join(['"a"'] * (IF_MATCH_TAGS_MAX + 1)))
