"""``/schemas`` of plugins and vaults, ``/tags`` and ``/endpoints``."""

import pytest

from node.config.plugins import BUILT
from store.schema import schema
from store.schema.plugins import plugin_names
from tests.admin.client import Client
from tests.admin.small_node import SmallNode


@pytest.mark.parametrize("name", plugin_names())
async def test_the_schema_of_a_plugin_is_that_of_its_configuration(
    admin: Client, name: str
) -> None:
    shown = (await admin.get(f"/schemas/plugins/{name}")).json
    assert shown == (await admin.get(f"/plugins/schema/{name}")).json
    names = [field for item in shown["fields"] for field in item]
    assert {"config", "protocols"} <= set(names)


async def test_a_vault_has_a_schema(admin: Client) -> None:
    shown = (await admin.get("/schemas/vaults/env")).json
    assert [field for item in shown["fields"] for field in item] == ["config"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/schemas/plugins/nothing", "No plugin named 'nothing'"),
        ("/plugins/schema/nothing", "No plugin named 'nothing'"),
        ("/schemas/vaults/nothing", "No vault named 'nothing'"),
        ("/schemas/nothing", "No entity named 'nothing'"),
        ("/schemas/services/nothing", "Not found"),
    ],
)
async def test_what_has_no_schema_is_named(admin: Client, path: str, message: str) -> None:
    answer = await admin.get(path)
    assert (answer.status, answer.message) == (404, message)


@pytest.mark.parametrize(
    ("path", "fields", "wrong"),
    [
        ("/schemas/plugins/validate", {"name": "key-auth"}, None),
        ("/schemas/plugins/validate", {}, {"name": "required field missing"}),
        (
            "/schemas/plugins/validate",
            {"name": "key-auth", "config": {"key_names": 1}},
            {"config": {"key_names": "expected an array"}},
        ),
        ("/schemas/vaults/validate", {"name": "env", "prefix": "p1"}, None),
        (
            "/schemas/vaults/validate",
            {"name": "hcv", "prefix": "p1"},
            {"name": "vault 'hcv' is not installed"},
        ),
        ("/schemas/consumers/validate", {"username": "u"}, None),
    ],
)
async def test_validation_tells_what_a_post_would(
    admin: Client, path: str, fields: dict[str, object], wrong: dict[str, object] | None
) -> None:
    answer = await admin.post(path, json=fields)
    if wrong is None:
        assert (answer.status, answer.message) == (200, "schema validation successful")
    else:
        assert (answer.status, answer.json["fields"]) == (400, wrong)


async def test_the_plugins_that_are_built_are_enabled(admin: Client) -> None:
    assert (await admin.get("/plugins/enabled")).json == {"enabled_plugins": sorted(BUILT)}


async def test_tags_are_listed_with_what_has_them(admin: Client) -> None:
    service = await admin.make_service("s", tags=["a", "b"])
    consumer = (await admin.post("/consumers", json={"username": "u", "tags": ["a"]})).json
    uses = [
        {"tag": "a", "entity_name": "consumers", "entity_id": consumer["id"]},
        {"tag": "a", "entity_name": "services", "entity_id": service["id"]},
        {"tag": "b", "entity_name": "services", "entity_id": service["id"]},
    ]
    assert (await admin.get("/tags")).json == {"data": uses, "next": None}
    assert (await admin.get("/tags/a")).json == {"data": uses[:2], "next": None}
    assert (await admin.get("/tags/c")).json == {"data": [], "next": None}


@pytest.mark.parametrize("path", ["/tags", "/tags/%C3%A4%20b"])
async def test_tags_come_in_pages(admin: Client, path: str) -> None:
    for number in range(5):
        await admin.make_service(f"s{number}", tags=["ä b"])
    found, answer = [], (await admin.get(f"{path}?size=2")).json
    for _ in range(3):
        found += answer["data"]
        assert ("offset" in answer) == (answer["next"] is not None)
        if answer["next"] is None:
            break
        answer = (await admin.get(answer["next"])).json
    assert len({use["entity_id"] for use in found}) == 5


async def test_tags_need_the_authority(admin: Client, node: SmallNode) -> None:
    node.down = "it is away"
    answer = await admin.get("/tags")
    assert (answer.status, answer.message) == (503, "it is away")


async def test_endpoints_name_what_is_generated(admin: Client) -> None:
    paths = (await admin.get("/endpoints")).json["data"]
    assert {
        "/consumers/{consumers}/key-auth/{keyauth_credentials}",
        "/key-auths/{keyauth_credentials}/consumer",
        "/upstreams/{upstreams}/targets/{targets}",
        "/certificates/{certificates}/snis",
        "/key-sets/{key_sets}/keys",
        "/schemas/plugins/{name}",
        "/tags/{tag}",
    } <= set(paths)
    assert not any(path.startswith(("/targets", "/oauth2_authorization_codes")) for path in paths)
    assert schema("targets").endpoints == "nested"
