"""What Kong's own tests of its Admin API (spec/02-integration/04-admin_api) expect, kind by kind.

docs/admin-api.md says of each of them what is covered here, elsewhere, and not at all.
"""

import uuid
from typing import Any

import pytest

from tests.admin.client import Client
from tests.store.pems import pair

NOBODY = "585e4c16-c656-11e6-8db9-5f512d8a12cd"
JSON = {"Content-Type": "application/json"}


def pem(name: str = "a.test") -> dict[str, str]:
    made = pair(name)
    return {"cert": made.cert, "key": made.key}


@pytest.fixture
async def certificate(admin: Client) -> dict[str, Any]:
    answer = await admin.post("/certificates", json={**pem(), "snis": ["b.test", "a.test"]})
    assert answer.status == 201
    made: dict[str, Any] = answer.json
    return made


@pytest.fixture
async def service(admin: Client) -> dict[str, Any]:
    return await admin.make_service("s")


def violation(wrong: str, **fields: Any) -> dict[str, Any]:
    return {"code": 2, "name": "schema violation", "message": wrong, "fields": fields}


def one_violation(**fields: str) -> dict[str, Any]:
    ((name, wrong),) = fields.items()
    return violation(f"schema violation ({name}: {wrong})", **fields)


def unique(field: str, wrong: str) -> dict[str, Any]:
    return {"code": 10, "name": f"invalid unique {field}", "message": wrong}


NO_ID = violation(
    "schema violation (service.id: missing primary key)", service={"id": "missing primary key"}
)
NAME = "the only accepted ascii characters are alphanumerics or ., -, _, and ~"


@pytest.mark.parametrize(
    ("reference", "refusal"),
    [
        ({"name": "\\o/"}, {"name": f"invalid value '\\o/': {NAME}"}),
        ({"name": None}, {"id": "missing primary key"}),
        ({"name": ""}, {"id": "missing primary key"}),
        ({"protocol": "http"}, {"id": "missing primary key"}),
        ({}, {"id": "missing primary key"}),
        ({"id": "x"}, {"id": "expected a valid UUID"}),
    ],
)
async def test_what_is_no_reference_is_told_so(
    admin: Client, reference: dict[str, Any], refusal: dict[str, str]
) -> None:
    answer = await admin.post("/routes", json={"methods": ["GET"], "service": reference})
    ((name, wrong),) = refusal.items()
    assert answer.status == 400
    assert answer.json == violation(f"schema violation (service.{name}: {wrong})", service=refusal)


async def test_an_empty_name_in_a_form_is_none(admin: Client) -> None:
    answer = await admin.post("/routes", data={"methods[]": "GET", "service.name": ""})
    assert (answer.status, answer.json) == (400, NO_ID)


async def test_a_reference_may_be_the_whole_entity(admin: Client, service: dict[str, Any]) -> None:
    route = {"paths": ["/x"], "service": service}
    made = await admin.put(f"/routes/{uuid.uuid4()}", json=route)
    assert (made.status, made.json["service"]) == (200, {"id": service["id"]})
    by_name = await admin.post("/routes", json={"paths": ["/y"], "service": {"name": "s"}})
    assert by_name.json["service"] == {"id": service["id"]}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/vaults/env", unique("prefix", "must not be one of: env")),
        (
            "/upstreams/1.2.3.4",
            unique("name", "Invalid name ('1.2.3.4'); no ip addresses allowed"),
        ),
        ("/services/a%20b", unique("name", f"invalid value 'a b': {NAME}")),
    ],
)
async def test_a_name_that_none_can_have_is_refused(
    admin: Client, method: str, path: str, refusal: dict[str, Any]
) -> None:
    options = {} if method in ("GET", "DELETE") else {"json": {"name": "env"}}
    answer = await admin.call(method, path, **options)
    assert (answer.status, answer.json) == (400, refusal)


async def test_the_parent_of_nothing_is_missing_and_that_of_something_stays(
    admin: Client, service: dict[str, Any]
) -> None:
    await admin.post("/services/s/routes", json={"name": "r", "paths": ["/r"]})
    missing = await admin.delete("/routes/nothing/service")
    assert (missing.status, missing.message) == (404, "Not found")
    refused = await admin.delete("/routes/r/service")
    assert (refused.status, refused.message) == (405, "Method not allowed")
    assert (await admin.get("/services/s")).status == 200


@pytest.mark.parametrize(
    ("certificates", "wrong"),
    [
        ({"snis": ["c.test", "d.test", "c.test"]}, "c.test is duplicated"),
        (
            {"snis": ["c.test", "a.test"]},
            "a.test already associated with existing certificate '{id}'",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_server_names_are_one_certificates_and_once(
    admin: Client,
    certificate: dict[str, Any],
    method: str,
    certificates: dict[str, Any],
    wrong: str,
) -> None:
    other = await admin.post("/certificates", json={**pem("o.test"), "snis": ["o.test"]})
    before = (await admin.get("/certificates")).json
    path = "/certificates" if method == "POST" else f"/certificates/{other.json['id']}"
    answer = await admin.call(method, path, json={**pem("o.test"), **certificates})
    wrong = wrong.format(id=certificate["id"])
    assert (answer.status, answer.json) == (400, one_violation(snis=wrong))
    assert (await admin.get("/certificates")).json == before, "nothing was written"


async def test_server_names_are_listed_in_order_and_go_when_null(
    admin: Client, certificate: dict[str, Any]
) -> None:
    path = f"/certificates/{certificate['id']}"
    assert certificate["snis"] == ["a.test", "b.test"]
    for named in (path, "/certificates/b.test"):
        patched = (await admin.patch(named, json={})).json
        assert patched == {**certificate, "updated_at": patched["updated_at"]}
    emptied = await admin.patch(path, json={"snis": None})
    assert b'"snis":[]' in emptied.body
    assert (await admin.get("/snis")).json["data"] == []


async def test_a_put_without_server_names_leaves_them(
    admin: Client, certificate: dict[str, Any]
) -> None:
    put = await admin.put(f"/certificates/{certificate['id']}", json=pem("n.test"))
    assert (put.status, put.json["snis"]) == (200, ["a.test", "b.test"])


async def test_a_certificate_may_have_more_server_names_than_a_page(admin: Client) -> None:
    snis = [f"my-sni-{number:03}.test" for number in range(150)]
    assert (await admin.post("/certificates", json={**pem(), "snis": snis})).status == 201
    assert (await admin.get("/certificates")).json["data"][0]["snis"] == snis


async def test_a_new_server_name_in_the_url_joins_those_of_the_body(admin: Client) -> None:
    put = await admin.put("/certificates/n1.test", json={**pem(), "snis": ["n1.test", "n2.test"]})
    assert (put.status, put.json["snis"]) == (200, ["n1.test", "n2.test"])


async def test_a_server_name_moves_to_another_certificate(
    admin: Client, certificate: dict[str, Any]
) -> None:
    other = (await admin.post("/certificates", json=pem("o.test"))).json
    moved = await admin.patch("/snis/a.test", json={"certificate": {"id": other["id"]}})
    assert moved.status == 200
    for owner, names in ((certificate, ["b.test"]), (other, ["a.test"])):
        assert (await admin.get(f"/certificates/{owner['id']}")).json["snis"] == names


async def test_server_names_may_have_one_wildcard(
    admin: Client, certificate: dict[str, Any]
) -> None:
    reference = {"certificate": {"id": certificate["id"]}}
    for name in ("*.wild.test", "wild.*"):
        assert (await admin.post("/snis", json={"name": name, **reference})).status == 201
    assert (await admin.get("/snis/%2A.wild.test")).json["name"] == "*.wild.test"
    refused = await admin.post("/snis", json={"name": "*.wild.*", **reference})
    assert refused.json == one_violation(name="only one wildcard must be specified")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("snis", ("certificate", "name")),
        ("certificates", ("cert", "key")),
        ("ca_certificates", ("cert",)),
        ("upstreams", ("name",)),
        ("services", ("host",)),
    ],
)
async def test_what_is_required_is_named(admin: Client, path: str, fields: tuple[str, ...]) -> None:
    answer = await admin.put(f"/{path}/{NOBODY}", json={})
    missing = "; ".join(f"{field}: required field missing" for field in fields)
    violations = "schema violation" if len(fields) == 1 else f"{len(fields)} schema violations"
    assert answer.status == 400
    assert answer.json == violation(
        f"{violations} ({missing})", **dict.fromkeys(fields, "required field missing")
    )


@pytest.mark.parametrize(
    ("path", "fields", "wrong"),
    [
        (
            "/certificates",
            {"cert": pair("a.test").cert, "key": pair("b.test").key},
            "certificate does not match key",
        ),
        (
            "/ca_certificates",
            {"cert": pair("a.test").cert},
            'certificate does not appear to be a CA because it is missing the "CA" basic '
            "constraint",
        ),
        (
            "/ca_certificates",
            {"cert": pair("x.test", expired=True).cert},
            'certificate expired, "Not After" time is in the past',
        ),
        (
            "/ca_certificates",
            {"cert": f"{pair('a.test').cert}\n{pair('a.test').cert}"},
            "please submit only one certificate at a time",
        ),
        (
            "/keys",
            {"name": "invalid", "jwk": '{"kid": "36"}', "kid": "36"},
            "could not load JWK, likely not a valid key",
        ),
        (
            "/consumers",
            {},
            "at least one of these fields must be non-empty: 'custom_id', 'username'",
        ),
        (
            "/routes",
            {},
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is "
            "'https'",
        ),
        (
            "/upstreams",
            {
                "name": "u.test",
                "hash_on": "header",
                "hash_on_header": "h",
                "hash_fallback": "header",
                "hash_fallback_header": "h",
            },
            "values of these fields must be distinct: 'hash_on_header', 'hash_fallback_header'",
        ),
    ],
)
async def test_rules_over_the_whole_entity_are_told_apart(
    admin: Client, path: str, fields: dict[str, Any], wrong: str
) -> None:
    answer = await admin.post(path, json=fields)
    assert answer.status == 400
    assert answer.json == violation(f"schema violation ({wrong})", **{"@entity": [wrong]})


@pytest.mark.parametrize("url", [" ", "invalid url"])
@pytest.mark.parametrize("encoding", ["json", "data"])
async def test_a_url_without_a_host_is_refused(admin: Client, encoding: str, url: str) -> None:
    answer = await admin.post("/services", **{encoding: {"url": url}})
    assert (answer.status, answer.json["fields"]) == (
        400,
        {"host": "required field missing", "path": "should start with: /"},
    )


async def test_a_url_of_a_patch_leaves_no_older_path(admin: Client) -> None:
    await admin.post("/services", json={"name": "s", "url": "http://h.test/path"})
    for url, protocol, port, path in (
        ("http://example.test:443", "http", 443, None),
        ("https://example2.test:80/", "https", 80, "/"),
        ("http://example2.test", "http", 80, None),
    ):
        patched = (await admin.patch("/services/s", json={"url": url})).json
        assert (patched["protocol"], patched["port"], patched["path"]) == (protocol, port, path)


async def test_the_largest_safe_integer_is_kept_as_it_is(admin: Client) -> None:
    made = await admin.post("/routes", json={"paths": ["/x"], "regex_priority": 2**53})
    assert (
        b'"regex_priority":9007199254740992,'
        in (await admin.get(f"/routes/{made.json['id']}")).body
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_thousand_arguments_are_enough(admin: Client, method: str) -> None:
    for count, status in ((1_000, 200), (1_001, 400)):
        arguments = "&".join(f"a={number}" for number in range(count))
        if method == "GET":
            answer = await admin.get(f"/plugins?{arguments}")
            assert answer.status == status
        else:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await admin.post("/plugins", data=arguments, headers=form)
            assert answer.status == 400
        assert (status == 400) == (answer.json.get("message") == "Too many arguments")


@pytest.mark.parametrize("tags", ["a,b/c", "a/b,c", "", ","])
async def test_tags_are_all_or_any_but_not_both(admin: Client, tags: str) -> None:
    answer = await admin.get(f"/consumers?tags={tags}")
    assert (answer.status, answer.message) == (400, "invalid option (tags: invalid filter syntax)")


async def test_what_is_no_tag_has_no_list(admin: Client) -> None:
    answer = await admin.get("/tags/a,b")
    wrong = "expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
    assert (answer.status, answer.json) == (400, unique("tag", f"invalid tag 'a,b': {wrong}"))


async def test_tags_may_be_any_text_beyond_ascii(admin: Client) -> None:
    await admin.post("/consumers", json={"username": "bob", "tags": ["🦍", "corp a"]})
    for tag in ("%F0%9F%A6%8D", "corp%20a"):
        assert len((await admin.get(f"/consumers?tags={tag}")).json["data"]) == 1
        assert len((await admin.get(f"/tags/{tag}")).json["data"]) == 1
    assert len((await admin.get("/tags?tags=nothing")).json["data"]) == 2


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (
            "/clustering/data-planes",
            400,
            "this endpoint is only available when Kong is configured to run as Control Plane for "
            "the cluster",
        ),
        (
            "/clustering/status",
            400,
            "this endpoint is only available when Kong is configured to run as Control Plane for "
            "the cluster",
        ),
    ],
)
async def test_what_kong_has_only_when_configured_otherwise(
    admin: Client, path: str, status: int, message: str
) -> None:
    answer = await admin.get(path)
    assert (answer.status, answer.message) == (status, message)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_what_is_not_there_is_404_by_every_method(admin: Client, method: str) -> None:
    answer = await admin.call(method, "/non-existing")
    assert answer.status == 404
    assert method == "HEAD" or answer.message == "Not found"


@pytest.mark.parametrize("path", ["/services", "/services/s"])
async def test_the_body_of_a_get_is_ignored(
    admin: Client, service: dict[str, Any], path: str
) -> None:
    answer = await admin.get(path, data=b"this fails if decoded", headers=JSON)
    assert answer.status == 200


@pytest.mark.parametrize("form", ["multipart/form-data", "application/x-www-form-urlencoded"])
async def test_no_body_at_all_is_no_field_at_all(admin: Client, form: str) -> None:
    answer = await admin.post("/consumers", headers={"Content-Type": form})
    assert (answer.status, answer.json["name"]) == (400, "schema violation")


async def test_a_put_by_name_keeps_the_id_and_resets_the_rest(admin: Client) -> None:
    made = (await admin.post("/consumers", json={"username": "bob", "custom_id": "1"})).json
    put = (await admin.put("/consumers/bob", json={})).json
    assert (put["id"], put["username"], put["custom_id"]) == (made["id"], "bob", None)


async def test_a_plugin_twice_in_one_place_is_409(admin: Client, service: dict[str, Any]) -> None:
    assert (await admin.post("/services/s/plugins", json={"name": "cors"})).status == 201
    again = await admin.post("/services/s/plugins", json={"name": "cors"})
    reference = {"id": service["id"]}
    assert again.status == 409
    assert again.json == {
        "code": 5,
        "name": "unique constraint violation",
        "message": 'UNIQUE violation detected on \'{consumer=null,name="cors",route=null,'
        f'service={{id="{service["id"]}"}}}}\'',
        "fields": {"consumer": None, "name": "cors", "route": None, "service": reference},
    }


async def test_a_plugin_is_let_go_of_by_what_it_is_bound_to(
    admin: Client, service: dict[str, Any]
) -> None:
    made = (await admin.post("/services/s/plugins", json={"name": "cors"})).json
    path = f"/services/s/plugins/{made['id']}"
    let_go = await admin.patch(path, json={"service": None})
    assert (let_go.status, let_go.json["service"]) == (200, None)
    assert (await admin.get(path)).status == 404


async def test_keys_go_with_their_set(admin: Client) -> None:
    key_set = (await admin.post("/key-sets", json={"name": "test"})).json
    pems = {"public_key": pair("a.test").public_key}
    for name, reference in (("in", {"id": key_set["id"]}), ("out", None)):
        fields = {"name": name, "kid": name, "pem": pems, "set": reference}
        assert (await admin.post("/keys", json=fields)).status == 201
    assert (await admin.delete("/key-sets/test")).status == 204
    assert [key["name"] for key in (await admin.get("/keys")).json["data"]] == ["out"]
