"""Endpoints of kinds that have names, keys or lists of their own in URLs."""

from typing import Any

import pytest

from store.schema import kinds, schema
from tests.admin.client import Client
from tests.admin.small_node import SmallNode
from tests.store.pems import pair

NOBODY = "5fd1b1e0-0000-4000-8000-00000000000f"


async def make(admin: Client, path: str, **fields: Any) -> dict[str, Any]:
    answer = await admin.post(path, json=fields)
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.json
    return made


@pytest.fixture
async def bob(admin: Client) -> dict[str, Any]:
    return await make(admin, "/consumers", username="bob", custom_id="17")


@pytest.fixture
async def upstream(admin: Client) -> dict[str, Any]:
    return await make(admin, "/upstreams", name="u")


def _pem(name: str) -> dict[str, str]:
    made = pair(name)
    return {"cert": made.cert, "key": made.key}


@pytest.mark.parametrize("kind", kinds())
async def test_every_kind_has_a_schema_and_a_list(admin: Client, kind: str) -> None:
    assert (await admin.get(f"/schemas/{kind}")).json == schema(kind).describe()
    listed = await admin.get(f"/{schema(kind).collection_name}")
    if schema(kind).endpoints == "everywhere":
        assert listed.json == {"data": [], "next": None}
    else:
        assert (listed.status, listed.message) == (404, "Not found")


@pytest.mark.parametrize("path", ["/workspaces", "/workspaces/default", "/targets", f"/x/{NOBODY}"])
async def test_what_kong_does_not_serve_is_not_found(admin: Client, path: str) -> None:
    answer = await admin.get(path)
    assert (answer.status, answer.message) == (404, "Not found")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/filter-chains", f"/filter-chains/{NOBODY}"])
async def test_filter_chains_want_wasm(admin: Client, method: str, path: str) -> None:
    answer = await admin.call(method, path)
    assert answer.status == 400
    assert answer.message == "this endpoint is only available when wasm is enabled"


async def test_a_consumer_is_found_by_custom_id(admin: Client, bob: dict[str, Any]) -> None:
    await make(admin, "/consumers", username="ann")
    assert (await admin.get("/consumers?custom_id=17")).json == {"data": [bob], "next": None}
    assert (await admin.get("/consumers?custom_id=18")).json == {"data": [], "next": None}
    answer = await admin.get("/consumers?custom_id=")
    assert (answer.status, answer.message) == (400, "custom_id must be an unempty string")


@pytest.mark.parametrize(
    ("nested", "collection", "fields", "key"),
    [
        ("key-auth", "key-auths", {"key": "k1"}, "key"),
        ("basic-auth", "basic-auths", {"username": "u", "password": "p"}, "username"),
        ("hmac-auth", "hmac-auths", {"username": "u"}, "username"),
        ("jwt", "jwts", {"key": "iss"}, "key"),
        ("oauth2", "oauth2", {"name": "app", "client_id": "c"}, "client_id"),
    ],
)
async def test_a_credential_is_reached_below_its_consumer_and_beside_it(
    admin: Client,
    bob: dict[str, Any],
    nested: str,
    collection: str,
    fields: dict[str, Any],
    key: str,
) -> None:
    made = await make(admin, f"/consumers/bob/{nested}", **fields)
    assert made["consumer"] == {"id": bob["id"]}
    for name in (made[key], made["id"]):
        assert (await admin.get(f"/consumers/bob/{nested}/{name}")).json == made
        assert (await admin.get(f"/{collection}/{name}")).json == made
        assert (await admin.get(f"/{collection}/{name}/consumer")).json == bob
    for path in (f"/consumers/bob/{nested}", f"/{collection}"):
        assert (await admin.get(path)).json == {"data": [made], "next": None}
    put = await admin.put(f"/consumers/{bob['id']}/{nested}/{NOBODY}", json={**fields, key: "k2"})
    assert (put.status, put.json["id"]) == (200, NOBODY)
    assert (await admin.delete(f"/{collection}/{made['id']}/consumer")).status == 405
    assert (await admin.delete(f"/consumers/bob/{nested}/{made['id']}")).status == 204
    assert (await admin.get(f"/{collection}/{made['id']}")).status == 404


async def test_a_group_is_a_key_below_its_consumer(admin: Client, bob: dict[str, Any]) -> None:
    await make(admin, "/consumers", username="ann")
    made = await make(admin, "/consumers/bob/acls", group="g")
    assert (await admin.get("/consumers/bob/acls/g")).json == made
    assert (await admin.get("/consumers/ann/acls/g")).status == 404
    put = await admin.put("/consumers/ann/acls/g", json={})
    assert (put.status, put.json["group"]) == (200, "g")
    again = await admin.put("/consumers/ann/acls/g", json={"tags": ["t"]})
    assert (again.json["id"], again.json["tags"]) == (put.json["id"], ["t"])
    assert (await admin.delete("/consumers/bob/acls/g")).status == 204
    assert (await admin.get("/acls")).json["data"] == [again.json]


async def test_a_key_shows_what_is_left_of_its_life_until_it_is_over(
    admin: Client, bob: dict[str, Any], node: SmallNode
) -> None:
    lasting = await make(admin, "/consumers/bob/key-auth", key="lasting")
    brief = await make(admin, "/consumers/bob/key-auth", key="brief", ttl=100)
    assert lasting["ttl"] is None
    assert 98 <= brief["ttl"] <= 100
    assert "expires_at" not in brief
    await make(admin, "/consumers/bob/key-auth", key="over", ttl=0.001)
    assert (await admin.get("/key-auths/over")).status == 404
    for down in ("", "the authority is away"):
        node.down = down
        listed = (await admin.get("/key-auths")).json["data"]
        assert {key["key"] for key in listed} == {"lasting", "brief"}
        assert (await admin.get("/key-auths/over")).status == 404


async def test_a_target_is_reached_below_its_upstream_by_its_address(
    admin: Client, upstream: dict[str, Any]
) -> None:
    made = await make(admin, "/upstreams/u/targets", target="h.test")
    assert (made["target"], made["upstream"]) == ("h.test:8000", {"id": upstream["id"]})
    for key in ("h.test:8000", "h.test", made["id"]):
        assert (await admin.get(f"/upstreams/u/targets/{key}")).json == made
    for path in ("/upstreams/u/targets", "/upstreams/u/targets/all"):
        assert (await admin.get(path)).json["data"] == [made]
    patched = await admin.patch("/upstreams/u/targets/h.test:8000", json={"weight": 1})
    assert (patched.status, patched.json["weight"]) == (200, 1)
    conflict = await admin.post("/upstreams/u/targets", json={"target": "h.test:8000"})
    assert conflict.status == 409
    assert (await admin.delete("/upstreams/u/targets/h.test:8000")).status == 204
    assert (await admin.delete("/upstreams/u/targets/h.test:8000")).status == 404


async def test_a_put_changes_a_target_and_makes_none(
    admin: Client, upstream: dict[str, Any]
) -> None:
    made = await make(admin, "/upstreams/u/targets", target="h.test:1")
    for key in (NOBODY, "other.test:1"):
        put = await admin.put(f"/upstreams/u/targets/{key}", json={"target": "other.test:1"})
        assert (put.status, put.message) == (404, "Not found")
    put = await admin.put("/upstreams/u/targets/h.test:1", json={"target": "h.test:1", "weight": 5})
    assert (put.status, put.json["id"], put.json["weight"]) == (200, made["id"], 5)


async def test_a_certificate_shows_its_server_names_and_is_found_by_them(
    admin: Client, node: SmallNode
) -> None:
    made = await make(admin, "/certificates", **_pem("a.test"), snis=["b.test", "a.test"])
    assert made["snis"] == ["a.test", "b.test"]
    for down in ("", "the authority is away"):
        node.down = down
        for key in (made["id"], "a.test", "b.test"):
            assert (await admin.get(f"/certificates/{key}")).json == made
        assert (await admin.get("/certificates")).json["data"] == [made]
        listed = (await admin.get("/certificates/a.test/snis")).json["data"]
        assert {sni["name"] for sni in listed} == {"a.test", "b.test"}
    assert (await admin.get("/certificates/c.test")).status == 404


async def test_server_names_are_changed_with_their_certificate(admin: Client) -> None:
    await make(admin, "/certificates", **_pem("a.test"), snis=["a.test"])
    patched = await admin.patch("/certificates/a.test", json={"snis": ["b.test"]})
    assert (patched.status, patched.json["snis"]) == (200, ["b.test"])
    assert (await admin.get("/snis/a.test")).status == 404
    tagged = await admin.patch("/certificates/b.test", json={"tags": ["t"]})
    assert tagged.json["snis"] == ["b.test"]
    assert (await admin.delete("/certificates/b.test")).status == 204
    assert (await admin.get("/snis")).json["data"] == []


async def test_a_certificate_has_one_etag_whether_written_or_read(admin: Client) -> None:
    made = await admin.post("/certificates", json={**_pem("a.test"), "snis": ["a.test"]})
    read = await admin.get("/certificates/a.test")
    assert made.headers["ETag"] == read.headers["ETag"]


async def test_a_put_under_a_new_server_name_makes_a_certificate_for_it(admin: Client) -> None:
    put = await admin.put("/certificates/a.test", json=_pem("a.test"))
    assert (put.status, put.json["snis"]) == (200, ["a.test"])
    again = await admin.put("/certificates/a.test", json={**_pem("b.test"), "snis": ["a.test"]})
    assert (again.status, again.json["id"]) == (200, put.json["id"])


async def test_a_form_names_server_names_one_by_one(admin: Client) -> None:
    form = {**_pem("a.test"), "snis[]": "a.test"}
    answer = await admin.post("/certificates", data=form)
    assert (answer.status, answer.json["snis"]) == (201, ["a.test"])


async def test_services_of_a_certificate_are_listed_below_it(admin: Client) -> None:
    made = await make(admin, "/certificates", **_pem("a.test"))
    shown = {"client_certificate": {"id": made["id"]}}
    service = await admin.make_service("s", protocol="https", **shown)
    upstream = await make(admin, "/upstreams", name="u", **shown)
    path = f"/certificates/{made['id']}"
    assert (await admin.get(f"{path}/services")).json["data"] == [service]
    assert (await admin.get(f"{path}/upstreams")).json["data"] == [upstream]
    assert (await admin.get("/services/s/client_certificate")).json == made


@pytest.mark.parametrize("scope", ["services", "routes", "consumers"])
async def test_plugins_are_reached_below_what_they_run_for(admin: Client, scope: str) -> None:
    await admin.make_service("x")
    await make(admin, "/routes", name="x", paths=["/x"])
    await make(admin, "/consumers", username="x")
    made = await make(admin, f"/{scope}/x/plugins", name="request-termination")
    assert made[scope.removesuffix("s")] is not None
    assert (await admin.get(f"/{scope}/x/plugins")).json["data"] == [made]
    path = f"/{scope}/x/plugins/{made['id']}"
    assert (await admin.get(path)).json == made
    assert (await admin.get(f"/plugins/{made['id']}/{scope.removesuffix('s')}")).status == 200
    patched = await admin.patch(path, json={"config": {"status_code": 418}})
    assert patched.json["config"] == {**made["config"], "status_code": 418}


async def test_a_form_gives_a_plugins_settings_their_types(admin: Client) -> None:
    form = {"name": "request-termination", "config.status_code": "418"}
    made = await admin.post("/plugins", data=form)
    assert (made.status, made.json["config"]["status_code"]) == (201, 418)
    path = f"/plugins/{made.json['id']}"
    patched = await admin.patch(path, data={"config.status_code": "419"})
    assert (patched.status, patched.json["config"]["status_code"]) == (200, 419)


async def test_an_unknown_plugin_is_refused_in_kongs_words(admin: Client) -> None:
    answer = await admin.post("/plugins", json={"name": "nothing"})
    assert answer.status == 400
    assert answer.json == {
        "code": 2,
        "name": "schema violation",
        "message": "schema violation (name: plugin 'nothing' not enabled; "
        "add it to the 'plugins' configuration property)",
        "fields": {
            "name": "plugin 'nothing' not enabled; add it to the 'plugins' configuration property"
        },
    }


async def test_keys_of_a_set_are_reached_below_it(admin: Client) -> None:
    key_set = await make(admin, "/key-sets", name="s")
    pem = {"public_key": pair("a.test").public_key}
    key = await make(admin, "/key-sets/s/keys", name="k", kid="1", pem=pem)
    assert (await admin.get("/key-sets/s/keys")).json["data"] == [key]
    assert (await admin.get("/keys/k/set")).json == key_set


async def test_a_vault_is_named_by_its_prefix(admin: Client) -> None:
    vault = await make(admin, "/vaults", name="env", prefix="my-env", config={"prefix": "X_"})
    assert (await admin.get("/vaults/my-env")).json == vault


async def test_passwords_are_answered_as_their_hash_and_keep_it(
    admin: Client, bob: dict[str, Any]
) -> None:
    made = await make(admin, "/consumers/bob/basic-auth", username="u", password="secret")
    assert made["password"] != "secret"
    patched = await admin.patch("/basic-auths/u", json={"tags": ["t"]})
    assert patched.json["password"] == made["password"]
