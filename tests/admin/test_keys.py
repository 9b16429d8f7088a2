"""``/cluster/keys``: ids in, ids out, and never a key."""

import base64
from typing import Any

import pytest

from gossip.keyring import key_id
from node.agent.keys import KeyHolder
from tests.admin.client import Client
from tests.admin.small_node import SmallNode
from tests.agent.key_nodes import K1, K2, Database
from tests.agent.key_nodes import Node as KeyNode

PEER = KeyHolder("00000002-0000-4000-8000-000000000000", "gw2", "alive", 0, False)


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.fixture(autouse=True)
async def keyring(node: SmallNode) -> KeyNode:
    return await node.keyring.start()


async def listing(admin: Client) -> dict[str, Any]:
    answer = await admin.get("/cluster/keys")
    assert answer.status == 200
    listed: dict[str, Any] = answer.json
    return listed


async def test_keys_are_listed_by_their_ids(admin: Client, keyring: KeyNode) -> None:
    assert await listing(admin) == {
        "data": [{"id": key_id(K1), "primary": True}],
        "counter": 0,
        "members": {"total": 1, "current": 1, "behind": []},
    }
    keyring.others = [PEER]
    await admin.post("/cluster/keys", json={"key": text(K2)})
    assert await listing(admin) == {
        "data": [{"id": key_id(K1), "primary": True}, {"id": key_id(K2), "primary": False}],
        "counter": 1,
        "members": {"total": 2, "current": 1, "behind": ["gw2"]},
    }


async def test_a_rotation(admin: Client) -> None:
    installed = await admin.post("/cluster/keys", json={"key": text(K2)})
    assert (installed.status, installed.json) == (201, {"id": key_id(K2)})
    again = await admin.post("/cluster/keys", json={"key": text(K2)})
    assert (again.status, again.json) == (200, {"id": key_id(K2)})
    path = f"/cluster/keys/{key_id(K2)}"
    used = await admin.patch(path, json={"primary": True})
    assert (used.status, used.json) == (200, {"id": key_id(K2), "primary": True})
    removed = await admin.delete(f"/cluster/keys/{key_id(K1).upper()}")
    assert (removed.status, removed.body) == (204, b"")
    assert (await listing(admin))["data"] == [{"id": key_id(K2), "primary": True}]


async def test_without_a_key_one_is_drawn_and_not_shown(admin: Client, keyring: KeyNode) -> None:
    answer = await admin.post("/cluster/keys", json={})
    assert answer.status == 201
    assert keyring.in_use is not None
    drawn = keyring.in_use.keys[1]
    assert answer.json == {"id": key_id(drawn)}


@pytest.mark.parametrize(
    "body",
    [{"key": "hunter2"}, {"key": "aHVudGVyMg=="}, {"key": 7}, {"kye": text(K2)}, {"key": []}],
)
async def test_what_is_no_key_is_refused_without_repeating_it(
    admin: Client, keyring: KeyNode, body: dict[str, object]
) -> None:
    answer = await admin.post("/cluster/keys", json=body)
    assert answer.status == 400
    for secret in ("hunter2", "aHVudGVyMg", text(K2)):
        assert secret not in answer.message
    assert keyring.in_use is not None
    assert keyring.in_use.counter == 0


@pytest.mark.parametrize("body", [{}, {"primary": False}, {"primary": 1}, {"primary": None}])
async def test_a_key_can_only_be_put_to_use(admin: Client, body: dict[str, object]) -> None:
    answer = await admin.patch(f"/cluster/keys/{key_id(K1)}", json=body)
    assert (answer.status, answer.message[:22]) == (400, "primary: expected true")


async def test_what_is_no_id_may_be_a_key_and_is_not_repeated(admin: Client) -> None:
    path = "/cluster/keys/" + text(K2).replace("/", "%2F").replace("+", "%2B")
    for answer in (await admin.delete(path), await admin.patch(path, json={"primary": True})):
        assert answer.status == 400
        assert text(K2)[:8] not in answer.message


async def test_an_unknown_id_is_404(admin: Client) -> None:
    for answer in (
        await admin.delete("/cluster/keys/00000000"),
        await admin.patch("/cluster/keys/00000000", json={"primary": True}),
    ):
        assert (answer.status, answer.message[:34]) == (404, "no key with the id '00000000'; the")


async def test_what_would_cut_members_off_is_409_and_names_them(
    admin: Client, keyring: KeyNode
) -> None:
    await admin.post("/cluster/keys", json={"key": text(K2)})
    keyring.others = [PEER]
    used = await admin.patch(f"/cluster/keys/{key_id(K2)}", json={"primary": True})
    assert used.status == 409
    assert "gw2" in used.message
    removed = await admin.delete(f"/cluster/keys/{key_id(K2)}?force=false")
    assert removed.status == 409
    assert "gw2" in removed.message
    assert (await admin.delete(f"/cluster/keys/{key_id(K2)}?force=true")).status == 204
    assert (await admin.delete(f"/cluster/keys/{key_id(K1)}?force=true")).status == 409
    assert (await admin.delete(f"/cluster/keys/{key_id(K1)}?force=maybe")).status == 400


async def test_while_the_authority_is_away_changes_are_503_and_the_list_is_not(
    admin: Client, keyring: KeyNode
) -> None:
    assert keyring.database is not None
    keyring.database.down = "db1 is away"
    answer = await admin.post("/cluster/keys", json={"key": text(K2)})
    assert (answer.status, answer.message) == (503, "db1 is away")
    assert (await listing(admin))["counter"] == 0


async def test_a_cluster_in_clear_is_409_and_says_what_to_set(
    admin: Client, node: SmallNode
) -> None:
    clear = KeyNode(node.settings.prefix, None, Database())
    clear.clear = True
    node.keys = (await clear.start()).changes
    for answer in (await admin.get("/cluster/keys"), await admin.post("/cluster/keys", json={})):
        assert answer.status == 409
        assert "set cluster_encrypt_key" in answer.message


async def test_a_node_that_takes_no_part_in_gossip_is_503(admin: Client, node: SmallNode) -> None:
    node.keys = KeyNode(node.settings.prefix, None, Database()).changes
    assert (await admin.get("/cluster/keys")).status == 503


async def test_a_foreign_page_can_not_change_keys(admin: Client, keyring: KeyNode) -> None:
    answer = await admin.post("/cluster/keys", headers={"Origin": "http://evil.test"})
    assert answer.status == 403
    assert keyring.in_use is not None
    assert keyring.in_use.counter == 0
