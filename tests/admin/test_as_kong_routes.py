"""What Kong's own tests expect of consumers, targets and routes (03, 08 and 09 of
spec/02-integration/04-admin_api), where ``test_as_kong.py`` and the tests of each subject don't say
it already."""

import uuid
from typing import Any

import pytest

from tests.admin.client import Answer, Client

NOT_FOUND = {"message": "Not found"}
HTTPS = "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"
GRPCS = "must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'grpcs'"
PROTOCOLS = "grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"
TYPES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


async def send(admin: Client, method: str, path: str, fields: dict[str, str], form: str) -> Answer:
    """Text fields in one of the three forms of a body."""
    if form == TYPES[0]:
        return await admin.call(method, path, json=fields)
    if form == TYPES[1]:
        return await admin.call(method, path, data=fields)
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    headers = {"Content-Type": f"{form}; boundary=x"}
    return await admin.call(method, path, data="".join([*parts, "--x--\r\n"]), headers=headers)


def violation(wrong: str, **fields: Any) -> dict[str, Any]:
    return {"code": 2, "name": "schema violation", "message": wrong, "fields": fields}


@pytest.mark.parametrize("form", TYPES)
async def test_consumers_are_made_changed_and_replaced_by_each_form_of_body(
    admin: Client, form: str
) -> None:
    made = await send(admin, "POST", "/consumers", {"username": "a b", "custom_id": "c d"}, form)
    assert (made.status, made.json["username"], made.json["custom_id"]) == (201, "a b", "c d")
    path = f"/consumers/{made.json['id']}"
    same = {"username": "a b", "custom_id": "c d"}
    kept = await send(admin, "PATCH", "/consumers/a%20b", same, form)
    assert kept.json == {**made.json, "updated_at": kept.json["updated_at"]}
    assert (await send(admin, "PATCH", path, {"username": "e"}, form)).json["custom_id"] == "c d"
    replaced = await send(admin, "PUT", path, {"username": "f"}, form)
    assert (replaced.status, replaced.json["custom_id"]) == (200, None)
    by_name = await send(admin, "PUT", "/consumers/g%20h", {"custom_id": "i"}, form)
    assert (by_name.status, by_name.json["username"]) == (200, "g h")
    assert (await send(admin, "PATCH", "/consumers/none", {"username": "x"}, form)).status == 404
    taken = await send(admin, "POST", "/consumers", {"username": "x", "custom_id": "i"}, form)
    assert (taken.status, taken.message) == (
        409,
        "UNIQUE violation detected on '{custom_id=\"i\"}'",
    )


async def test_a_name_in_the_url_alone_makes_a_consumer_and_empties_it(admin: Client) -> None:
    first = await admin.put("/consumers/a", json={"custom_id": "c"})
    again = await admin.put("/consumers/a", json={})
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert (again.json["username"], again.json["custom_id"]) == ("a", None)


async def test_consumers_are_found_by_a_custom_id_that_looks_like_an_id(admin: Client) -> None:
    custom_id = str(uuid.uuid4())
    made = await admin.post("/consumers", json={"custom_id": custom_id})
    assert (await admin.get(f"/consumers?custom_id={custom_id}")).json["data"] == [made.json]
    assert b'"data":[]' in (await admin.get("/consumers?custom_id=none")).body


@pytest.mark.parametrize("method", ["PATCH", "POST"])
@pytest.mark.parametrize("form", [None, "invalid"])
async def test_a_body_of_no_known_form_is_415(admin: Client, method: str, form: str | None) -> None:
    await admin.post("/consumers", json={"username": "a"})
    path = "/consumers/a" if method == "PATCH" else "/consumers"
    options: dict[str, Any] = {"headers": {"Content-Type": form}} if form else {}
    skipped = {"skip_auto_headers": ["Content-Type"]}
    answer = await admin.call(method, path, data=b"invalid", **options, **skipped)
    assert answer.status == 415


async def test_a_consumers_plugins_are_its_own(admin: Client) -> None:
    for name in ("a b", "other"):
        await admin.post("/consumers", json={"username": name})
    made = await admin.post(
        "/consumers/a%20b/plugins", data={"name": "rate-limiting", "config.minute": "5"}
    )
    assert (made.status, made.json["config"]["minute"]) == (201, 5)
    consumer = made.json["consumer"]
    config = {"minute": 1}
    again = await admin.post(
        "/consumers/a%20b/plugins", json={"name": "rate-limiting", "config": config}
    )
    assert again.status == 409
    assert again.json["fields"] == {
        "consumer": consumer,
        "name": "rate-limiting",
        "route": None,
        "service": None,
    }
    path = f"/plugins/{made.json['id']}"
    assert (await admin.get(f"/consumers/a%20b{path}")).json == made.json
    assert (await admin.get(f"/consumers/other{path}")).status == 404
    changed = await admin.patch(f"/consumers/a%20b{path}", data={"config.hour": "60"})
    assert (changed.json["config"]["minute"], changed.json["config"]["hour"]) == (5, 60)
    off = await admin.patch(f"/consumers/a%20b{path}", data={"enabled": "false"})
    assert (off.json["enabled"], off.json["config"]) == (False, changed.json["config"])
    renamed = await admin.patch(f"/consumers/a%20b{path}", json={"name": "foo"})
    wrong = "plugin 'foo' not enabled; add it to the 'plugins' configuration property"
    assert (renamed.status, renamed.json["fields"]) == (400, {"name": wrong})
    assert (await admin.delete(f"/consumers/a%20b{path}")).status == 204
    assert (await admin.delete(f"/consumers/a%20b{path}")).status == 404
    fresh = f"/consumers/a%20b/plugins/{uuid.uuid4()}"
    assert (await admin.patch(fresh, json={})).status == 404
    put = await admin.put(fresh, json={"name": "rate-limiting", "config": {"hour": 1}})
    assert (put.status, fresh.endswith(put.json["id"])) == (200, True)
    nameless = await admin.post("/consumers/other/plugins", json={})
    assert nameless.json == violation(
        "schema violation (name: required field missing)", name="required field missing"
    )


async def test_targets_stand_below_their_upstream_only(admin: Client) -> None:
    assert (await admin.get("/targets")).json == NOT_FOUND
    await admin.post("/upstreams", json={"name": "u"})
    for end in ("", "/"):
        path = f"/upstreams/u/targets{end}"
        assert (await admin.get(path)).body == b'{"data":[],"next":null}'
        for method in ("PUT", "PATCH", "DELETE"):
            assert (await admin.call(method, path, json={"target": "h.test"})).status == 405
    assert (await admin.get("/upstreams/u/targets/all")).json == {"data": [], "next": None}


@pytest.mark.parametrize("form", TYPES)
async def test_targets_have_a_port_and_a_weight(admin: Client, form: str) -> None:
    await admin.post("/upstreams", json={"name": "u"})
    path = "/upstreams/u/targets/"
    plain = await send(admin, "POST", path, {"target": "h.test"}, form)
    assert (plain.status, plain.json["target"], plain.json["weight"]) == (201, "h.test:8000", 100)
    whole = (
        await send(admin, "POST", path, {"target": "h.test:123", "weight": "99"}, form)
        if (form != TYPES[0])
        else await admin.post(path, json={"target": "h.test:123", "weight": 99})
    )
    assert (whole.json["target"], whole.json["weight"]) == ("h.test:123", 99)
    twice = await send(admin, "POST", path, {"target": "h.test:8000"}, form)
    assert twice.status == 409
    nothing = await send(admin, "POST", path, {}, form)
    assert nothing.json["fields"] == {"target": "required field missing"}
    spaced = await send(admin, "POST", path, {"target": "some invalid host name"}, form)
    assert spaced.json["fields"] == {
        "target": "Invalid target ('some invalid host name'); not a valid hostname or ip address"
    }
    heavy = await admin.post(path, json={"target": "i.test", "weight": 65_536})
    assert heavy.json["fields"] == {"weight": "value should be between 0 and 65535"}


@pytest.mark.parametrize("key", ["target", "id"])
async def test_a_target_is_deleted_and_gone(admin: Client, key: str) -> None:
    await admin.post("/upstreams", json={"name": "u"})
    for target in ("a.test:80", "b.test:80"):
        made = await admin.post("/upstreams/u/targets", json={"target": target})
    assert (await admin.delete(f"/upstreams/u/targets/{made.json[key]}")).status == 204
    for path in ("targets", "targets/all"):
        data = (await admin.get(f"/upstreams/u/{path}?foo=bar")).json["data"]
        assert [one["target"] for one in data] == ["a.test:80"]


@pytest.mark.parametrize("host", ["127.0.0.1", "[0000:0000:0000:0000:0000:0000:0000:0001]", "l"])
async def test_health_is_set_for_targets_of_this_upstream_only(admin: Client, host: str) -> None:
    checks = {"passive": {"unhealthy": {"tcp_failures": 1}}}
    ids = {}
    for name in ("u", "other"):
        made = await admin.post("/upstreams", json={"name": name, "healthchecks": checks})
        target = await admin.post(f"/upstreams/{name}/targets", json={"target": f"{host}:8192"})
        assert target.json["target"] == f"{host}:8192"
        ids[name] = made.json["id"], target.json["id"]
    for upstream in (str(uuid.uuid4()), "invalid", "u", ids["u"][0]):
        right = upstream in ("u", ids["u"][0])
        for target_key, known in (
            (str(uuid.uuid4()), False),
            ("invalid:1234", False),
            (ids["other"][1], False),
            (f"{host}:8192", True),
            (ids["u"][1], True),
        ):
            for state in ("healthy", "unhealthy"):
                path = f"/upstreams/{upstream}/targets/{target_key}/{state}"
                assert (await admin.put(path)).status == (204 if right and known else 404), path


async def test_routes_without_a_service_are_whole(admin: Client) -> None:
    fields = {"protocols": ["http"], "hosts": ["r.test"], "headers": {"location": ["here"]}}
    made = (await admin.post("/routes", json=fields)).json
    assert {name: made[name] for name in fields} == fields
    for name in ("name", "paths", "methods", "service"):
        assert made[name] is None
    assert (made["preserve_host"], made["strip_path"], made["regex_priority"]) == (False, True, 0)
    grpc = await admin.post("/routes", json={"protocols": ["grpc", "grpcs"], "hosts": ["r.test"]})
    assert (grpc.status, grpc.json["strip_path"]) == (201, False)


async def test_routes_come_as_a_form_with_arrays_maps_and_a_service(admin: Client) -> None:
    service = await admin.make_service("s")
    form = {
        "methods[1]": "GET",
        "methods[2]": "POST",
        "hosts[]": "a.test",
        "headers.location[1]": "here",
        "service.name": "s",
    }
    made = await admin.post("/routes", data=form)
    assert made.status == 201
    assert (made.json["methods"], made.json["hosts"]) == (["GET", "POST"], ["a.test"])
    assert made.json["headers"] == {"location": ["here"]}
    assert made.json["service"] == {"id": service["id"]}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("fields", "wrong", "told"),
    [
        ({}, HTTPS, {"@entity": [HTTPS]}),
        ({"protocols": ["https"]}, HTTPS, {"@entity": [HTTPS]}),
        ({"protocols": ["grpc", "grpcs"]}, GRPCS, {"@entity": [GRPCS]}),
        (
            {"protocols": ["grpc", "grpcs"], "paths": ["/"], "strip_path": True},
            "strip_path: cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'",
            {"strip_path": "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'"},
        ),
        (
            {"protocols": ["grpc", "grpcs"], "paths": ["/"], "methods": ["GET"]},
            "methods: cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'",
            {"methods": "cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'"},
        ),
        (
            {"paths": ["/"], "regex_priority": "foobar"},
            "regex_priority: expected an integer",
            {"regex_priority": "expected an integer"},
        ),
        (
            {"methods": ["GET"], "protocols": ["foo", "http"]},
            f"protocols.1: expected one of: {PROTOCOLS}",
            {"protocols": [f"expected one of: {PROTOCOLS}"]},
        ),
        (
            {"protocols": ["foo"]},
            "protocols: unknown type: foo",
            {"protocols": "unknown type: foo"},
        ),
    ],
)
async def test_what_is_wrong_with_a_route_is_told(
    admin: Client, method: str, fields: dict[str, Any], wrong: str, told: dict[str, Any]
) -> None:
    path = "/routes" if method == "POST" else f"/routes/{uuid.uuid4()}"
    answer = await admin.call(method, path, json=fields)
    assert (answer.status, answer.json) == (400, violation(f"schema violation ({wrong})", **told))


async def test_a_service_that_is_not_there_cannot_be_referred_to(admin: Client) -> None:
    wrong = (
        "the foreign key cannot be resolved with '{name=\"none\"}' for an existing 'services' "
        "entity"
    )
    answer = await admin.post("/routes", json={"methods": ["GET"], "service": {"name": "none"}})
    assert answer.status == 400
    assert answer.json == {
        "code": 13,
        "name": "foreign keys unresolved",
        "message": f"foreign key unresolved (service.name: {wrong})",
        "fields": {"service": {"name": wrong}},
    }


@pytest.mark.parametrize("key", ["id", "name"])
async def test_a_routes_fields_are_let_go_of(admin: Client, key: str) -> None:
    await admin.make_service("s")
    made = await admin.post(
        "/services/s/routes", json={"name": "r", "paths": ["/r"], "methods": ["GET"]}
    )
    path = f"/routes/{made.json[key]}"
    empty = await admin.patch(path, json={"methods": [], "paths": [], "hosts": ["r.test"]})
    assert b'"methods":[]' in empty.body
    assert b'"paths":[]' in empty.body
    free = await admin.patch(path, json={"methods": None, "paths": None, "service": None})
    assert [free.json[name] for name in ("methods", "paths", "service")] == [None, None, None]
    whole = await admin.put(path, json={"paths": ["/x"]})
    assert (whole.json["id"], whole.json["hosts"]) == (made.json["id"], None)
    assert (await admin.delete(path)).status == 204
    assert (await admin.delete(path)).status == 204, "as if it had been there"
    assert (await admin.patch(f"/routes/{uuid.uuid4()}", json={"paths": ["/"]})).status == 404


async def test_what_a_route_does_not_have_is_refused_however_it_is_spelled(admin: Client) -> None:
    fields = {"routes": {"test": [{"test": "test"}]}, "tags": "test"}
    assert (await admin.put("/routes/r", json=fields)).status == 400
    form = {"routes.test[1].test": "test", "tags": "test"}
    assert (await admin.put("/routes/r", data=form)).status == 400


@pytest.mark.parametrize("key", ["id", "name"])
async def test_a_routes_service_is_read_changed_and_replaced_through_it(
    admin: Client, key: str
) -> None:
    service = await admin.make_service("s", path="/")
    made = await admin.post("/services/s/routes", json={"name": "r", "paths": ["/r"]})
    path = f"/routes/{made.json[key]}/service"
    assert (await admin.get(path, data=b"this is ignored")).json == service
    changed = await admin.patch(path, json={"name": "t", "host": "t.test", "path": None})
    assert [changed.json[name] for name in ("id", "name", "path")] == [service["id"], "t", None]
    url = await admin.put(path, data={"url": "http://edited2.test:1234/foo"})
    assert [url.json[name] for name in ("host", "port", "path")] == ["edited2.test", 1234, "/foo"]
    assert url.json["id"] == service["id"]
    wrong = await admin.put(path, json={"connect_timeout": "foobar"})
    assert wrong.json == violation(
        "2 schema violations (connect_timeout: expected an integer; host: required field missing)",
        connect_timeout="expected an integer",
        host="required field missing",
    )
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        for none in (str(uuid.uuid4()), "none"):
            options = {} if method in ("GET", "DELETE") else {"json": {"host": "h"}}
            assert (await admin.call(method, f"/routes/{none}/service", **options)).status == 404


async def test_a_new_service_is_put_where_a_route_has_none(admin: Client) -> None:
    made = await admin.post("/routes", json={"paths": ["/r"]})
    put = await admin.put(f"/routes/{made.json['id']}/service", json={"url": "http://b.test"})
    assert (put.status, put.json["host"]) == (200, "b.test")
    route = (await admin.get(f"/routes/{made.json['id']}")).json
    assert route["service"] == {"id": put.json["id"]}


async def test_a_routes_plugins_are_unique_by_name(admin: Client) -> None:
    made = await admin.post("/routes", json={"name": "r", "paths": ["/r"]})
    form = {"name": "key-auth", "config.key_names[1]": "apikey", "config.key_names[2]": "key"}
    plugin = await admin.post(f"/routes/{made.json['id']}/plugins", data=form)
    assert plugin.json["config"]["key_names"] == ["apikey", "key"]
    assert len((await admin.get("/routes/r/plugins", data=b"ignored")).json["data"]) == 1
    again = await admin.post("/routes/r/plugins", json={"name": "key-auth"})
    reference = {"id": made.json["id"]}
    assert again.json == {
        "code": 5,
        "name": "unique constraint violation",
        "message": 'UNIQUE violation detected on \'{consumer=null,name="key-auth",'
        f'route={{id="{reference["id"]}"}},service=null}}\'',
        "fields": {"consumer": None, "name": "key-auth", "route": reference, "service": None},
    }
    taken = await admin.post(
        "/routes/r/plugins", json={"name": "basic-auth", "id": plugin.json["id"]}
    )
    assert (taken.status, taken.json["code"]) == (400, 3)
    assert taken.message == f"primary key violation on key '{{id=\"{plugin.json['id']}\"}}'"


@pytest.mark.parametrize("offset", ["x", "|potato|"])
async def test_what_is_no_offset_is_told_so(admin: Client, offset: str) -> None:
    answer = await admin.get(f"/routes?offset={offset}")
    assert (answer.status, answer.json["code"]) == (400, 7)
    assert answer.json["name"] == "invalid offset"
    if offset == "x":
        assert answer.message == "'x' is not a valid offset: bad base64 encoding"
    size = await admin.get("/routes?size=x")
    assert size.json == {"code": 9, "name": "invalid size", "message": "size must be a number"}
    assert (await admin.get("/routes?foo=bar")).json == {"data": [], "next": None}
