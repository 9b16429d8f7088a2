"""GET /, /endpoints, /status, /schemas: what a node tells of itself and its entities."""

import os
import re

import pytest

from tests.admin.client import Client
from tests.admin.small_node import NODE_ID, SmallNode


async def test_root_is_what_kongs_clients_parse(admin: Client) -> None:
    root = (await admin.get("/")).json
    assert root["version"] == "3.9.3"
    assert root["edition"] == "community"
    assert root["tagline"] == "Welcome to grapevine"
    assert (root["node_id"], root["hostname"]) == (NODE_ID, "host1")
    assert set(root["plugins"]) == {"available_on_server", "enabled_in_cluster", "unavailable"}
    assert root["pids"] == {"master": os.getpid(), "workers": [1]}
    assert isinstance(root["lua_version"], str)
    assert set(root["timers"]) == {"running", "pending"}


async def test_timers_have_kongs_shape(admin: Client) -> None:
    timers = (await admin.get("/timers")).json
    assert timers["worker"] == {"id": 0, "count": 1}
    assert timers["stats"]["sys"]["running"] >= 1


@pytest.mark.parametrize("overrides", [{"plugins": "key-auth,cors,jwt"}])
async def test_root_names_what_may_be_configured_and_in_which_order_it_runs(
    admin: Client, overrides: dict[str, str]
) -> None:
    root = (await admin.get("/")).json
    assert root["configuration"]["loaded_plugins"] == {"cors": True, "key-auth": True}
    plugins = root["plugins"]
    assert plugins["available_on_server"] == {
        "cors": {"version": "3.9.3", "priority": 2000},
        "key-auth": {"version": "3.9.3", "priority": 1250},
    }
    assert plugins["unavailable"] == ["jwt"]


async def test_root_names_each_plugin_that_is_configured_once(admin: Client) -> None:
    assert (await admin.get("/")).json["plugins"]["enabled_in_cluster"] == []
    await admin.make_service("s")
    for path in ("/plugins", "/services/s/plugins"):
        for name in ("cors", "key-auth"):
            assert (await admin.post(path, json={"name": name})).status == 201
    assert (await admin.get("/")).json["plugins"]["enabled_in_cluster"] == ["cors", "key-auth"]
    for plugin in (await admin.get("/plugins")).json["data"]:
        if plugin["name"] == "cors":
            await admin.delete(f"/plugins/{plugin['id']}")
    assert (await admin.get("/")).json["plugins"]["enabled_in_cluster"] == ["key-auth"]


@pytest.mark.parametrize(
    "overrides",
    [{"pg_password": "hide-me", "admin_token": "hide-me-as-well-please"}],
)
async def test_root_masks_secrets(admin: Client, overrides: dict[str, str]) -> None:
    headers = {"Kong-Admin-Token": overrides["admin_token"]}
    answer = await admin.get("/", headers=headers)
    assert b"hide-me" not in answer.body
    configuration = answer.json["configuration"]
    assert configuration["pg_password"] == configuration["admin_token"] == "******"


async def test_root_names_the_software_and_the_cluster_apart(admin: Client) -> None:
    ours = (await admin.get("/")).json["grapevine"]
    assert (ours["version"], ours["node_name"]) == ("0.1.0", "gw1")
    assert ours["members"] == {"alive": 1}
    assert re.fullmatch(r"\d+\.\d+", ours["revision"])


@pytest.mark.parametrize("overrides", [{"proxy_listen": "127.0.0.1:18000, [::1]:18443 ssl"}])
async def test_root_takes_listeners_apart(admin: Client, node: SmallNode) -> None:
    configuration = (await admin.get("/")).json["configuration"]
    assert configuration["database"] == "sqlite"
    plain, tls = configuration["proxy_listeners"]
    assert (plain["ip"], plain["port"], plain["ssl"]) == ("127.0.0.1", 18000, False)
    assert (tls["ip"], tls["port"], tls["ssl"]) == ("::1", 18443, True)
    assert tls["listener"].startswith("[::1]:18443 ssl")


async def test_endpoints_are_listed_once_each_in_the_order_of_their_segments(
    admin: Client,
) -> None:
    paths = (await admin.get("/endpoints")).json["data"]
    assert len(paths) == len(set(paths))
    assert {"/", "/services", "/services/{services}/routes/{routes}", "/cluster"} <= set(paths)
    assert paths == sorted(paths, key=lambda path: path.split("/"))


async def test_status_has_kongs_shape_and_a_cluster_object(admin: Client) -> None:
    status = (await admin.get("/status")).json
    assert status["database"] == {"reachable": True}
    assert status["server"]["connections_active"] == 3
    assert status["server"]["total_requests"] == 7
    assert len(status["server"]) == 7
    (worker,) = status["memory"]["workers_lua_vms"]
    assert worker["pid"] == 1
    assert re.fullmatch(r"\d+\.\d\d MiB", worker["http_allocated_gc"])
    cluster = status["cluster"]
    assert (cluster["node_id"], cluster["members"]) == (NODE_ID, {"alive": 1})
    assert cluster["counters"] == {"packets_received": 5}
    assert cluster["authority"]["reachable"] is True


async def test_status_says_why_the_authority_is_away(admin: Client, node: SmallNode) -> None:
    node.down = "authority.db is locked"
    status = (await admin.get("/status")).json
    assert status["database"] == {"reachable": False}
    assert status["cluster"]["authority"] == {
        "id": node.info.id,
        "reachable": False,
        "reason": "authority.db is locked",
        "split": None,
        "changed": None,
    }


@pytest.mark.parametrize(
    ("query", "pattern"),
    [
        ("unit=k", r"\d+\.\d\d KiB"),
        ("unit=G&scale=3", r"\d+\.\d{3} GiB"),
        ("scale=0", r"\d+ MiB"),
        ("scale=-1", r"\d+\.\d\d MiB"),
        ("scale=99", r"\d+\.\d\d MiB"),
        ("scale=%C2%B2", r"\d+\.\d\d MiB"),
    ],
)
async def test_memory_is_printed_in_unit_and_scale(admin: Client, query: str, pattern: str) -> None:
    status = (await admin.get(f"/status?{query}")).json
    assert re.fullmatch(pattern, status["memory"]["workers_lua_vms"][0]["http_allocated_gc"])


async def test_memory_in_bytes_is_a_number(admin: Client) -> None:
    status = (await admin.get("/status?unit=b")).json
    assert isinstance(status["memory"]["workers_lua_vms"][0]["http_allocated_gc"], int)


async def test_an_unknown_unit_is_400(admin: Client) -> None:
    answer = await admin.get("/status?unit=V")
    assert answer.status == 400
    assert answer.message == "invalid unit 'V' (expected 'k/K', 'm/M', or 'g/G')"


async def test_ready_is_200_or_503_with_the_reason(status_api: Client, node: SmallNode) -> None:
    answer = await status_api.get("/status/ready")
    assert (answer.status, answer.message) == (200, "ready")
    node.readiness = (False, "no configuration loaded yet")
    answer = await status_api.get("/status/ready")
    assert (answer.status, answer.message) == (503, "no configuration loaded yet")


async def test_the_status_api_has_status_and_nothing_that_writes(status_api: Client) -> None:
    assert (await status_api.get("/status")).status == 200
    assert (await status_api.get("/services")).status == 404
    assert (await status_api.post("/status", json={})).status == 405


@pytest.mark.parametrize("kind", ["services", "routes"])
async def test_a_schema_lists_fields_and_checks(admin: Client, kind: str) -> None:
    schema = (await admin.get(f"/schemas/{kind}")).json
    names = [name for field in schema["fields"] for name in field]
    assert {"id", "name", "protocols" if kind == "routes" else "host"} <= set(names)
    assert isinstance(schema["entity_checks"], list)


@pytest.mark.parametrize("suffix", ["", "/validate"])
async def test_a_schema_of_nothing_is_404(admin: Client, suffix: str) -> None:
    answer = await admin.call("POST" if suffix else "GET", f"/schemas/nothing{suffix}", json={})
    assert (answer.status, answer.message) == (404, "No entity named 'nothing'")


async def test_validation_tells_what_a_post_would_and_writes_nothing(admin: Client) -> None:
    good = await admin.post("/schemas/services/validate", json={"host": "h.test"})
    assert (good.status, good.json) == (200, {"message": "schema validation successful"})
    bad = await admin.post("/schemas/services/validate", json={})
    assert (bad.status, bad.json["fields"]) == (400, {"host": "required field missing"})
    assert (await admin.get("/services")).json["data"] == []
