"""/cluster/invalidate and /cache: what is named, what is refused, and what is shown."""

import pytest

from gossip.invalidation import By, Invalidation
from gossip.limits import PURGE_TEXT_BYTES_MAX
from node.admin.node_view import NotAvailable, TooManyRequests
from tests.admin.client import Client
from tests.admin.small_node import NODE_ID, SmallNode

EXPECTED = "expected <kind>:<value>, as in keyauth_credentials:<key>:::::"
KEY = "keyauth_credentials:s3cret:::::"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"key": KEY}, Invalidation("entities", By.KEY, KEY)),
        ({"key": "consumers:a:b:c", "cache": "entities"}, None),
        ({"tag": "mobile"}, Invalidation("entities", By.TAG, "mobile")),
        ({"tag": "ü" * (PURGE_TEXT_BYTES_MAX // 2)}, None),
    ],
)
async def test_a_purge_is_under_way_to_every_node_and_named(
    admin: Client, node: SmallNode, body: dict[str, str], what: Invalidation | None
) -> None:
    answer = await admin.post("/cluster/invalidate", json=body)
    assert (answer.status, answer.json) == (202, {"origin": NODE_ID, "sequence": 1})
    assert len(node.caches.invalidated) == 1
    if what is not None:
        assert node.caches.invalidated == [what]
    assert (await admin.post("/cluster/invalidate", data=body)).json["sequence"] == 2, "as a form"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "expected exactly one of key and tag"),
        ({"key": KEY, "tag": "x"}, "expected exactly one of key and tag"),
        ({"key": KEY, "kye": "x"}, "expected no field but key, tag, cache"),
        ({"key": ""}, "key: expected a text of 1 to 640 bytes"),
        ({"key": 7}, "key: expected a text of 1 to 640 bytes"),
        ({"tag": None}, "tag: expected a text of 1 to 640 bytes"),
        ({"tag": "ü" * 321}, "tag: expected a text of 1 to 640 bytes"),
        ({"key": KEY, "cache": "dns"}, "cache: expected one of entities"),
        ({"key": KEY, "cache": []}, "cache: expected one of entities"),
        ({"key": "s3cret"}, f"key: {EXPECTED}"),
        ({"key": "s3:cret"}, f"key: {EXPECTED}"),
        ({"key": "consumers:"}, f"key: {EXPECTED}"),
    ],
)
async def test_what_names_nothing_is_refused(
    admin: Client, node: SmallNode, body: dict[str, object], text: str
) -> None:
    answer = await admin.post("/cluster/invalidate", json=body)
    assert (answer.status, answer.message) == (400, text)
    assert node.caches.invalidated == []


async def test_too_many_are_refused_with_the_time_to_come_again(
    admin: Client, node: SmallNode
) -> None:
    node.caches.refusal = TooManyRequests("too many purges", 0.01)
    answer = await admin.post("/cluster/invalidate", json={"tag": "x"})
    assert (answer.status, answer.message) == (429, "too many purges")
    assert answer.headers["Retry-After"] == "1"


async def test_a_node_that_can_not_tell_the_others_is_503(admin: Client, node: SmallNode) -> None:
    node.caches.refusal = NotAvailable("this node takes no part in gossip")
    answer = await admin.post("/cluster/invalidate", json={"tag": "x"})
    assert answer.status == 503


async def test_what_is_cached_is_shown_and_nothing_is_looked_up(
    admin: Client, node: SmallNode
) -> None:
    node.caches.cached = {
        KEY: ('{"id":"c1","key":"s3cret"}',),
        "acls:u1": ('{"id":"a1"}', '{"id":"a2"}'),
        "consumers:gone": (),
    }
    assert (await admin.get(f"/cache/{KEY}")).json == {"id": "c1", "key": "s3cret"}
    assert (await admin.get("/cache/acls%3Au1")).json == [{"id": "a1"}, {"id": "a2"}]
    for key in ("consumers:gone", "consumers:none", "x" * 700, "%ff"):
        answer = await admin.get(f"/cache/{key}")
        assert (answer.status, answer.message) == (404, "Not found")


async def test_deleting_is_for_this_node_alone(admin: Client, node: SmallNode) -> None:
    for path in (f"/cache/{KEY}", "/cache", "/cache/consumers:none", "/cache/" + "x" * 700):
        answer = await admin.delete(path)
        assert (answer.status, answer.body) == (204, b"")
    assert node.caches.forgotten == [KEY, None, "consumers:none"]
    assert node.caches.invalidated == []
