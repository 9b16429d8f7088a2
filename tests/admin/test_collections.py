"""Services and routes by id and by name, in Kong's shapes (KONG.md 2.1)."""

import uuid

import pytest

from tests.admin.client import Client

MISSING = "/services/" + str(uuid.uuid4())


async def test_post_creates_with_defaults_and_answers_201(admin: Client) -> None:
    answer = await admin.post("/services", json={"name": "orders", "host": "orders.test"})
    assert answer.status == 201
    service = answer.json
    assert (service["name"], service["host"]) == ("orders", "orders.test")
    assert (service["protocol"], service["port"], service["retries"]) == ("http", 80, 5)
    assert service["tags"] is None
    assert service["created_at"] == service["updated_at"]
    assert uuid.UUID(service["id"])


async def test_url_is_shorthand_for_protocol_host_port_and_path(admin: Client) -> None:
    answer = await admin.post("/services", json={"url": "https://up.test/base"})
    service = answer.json
    assert (service["protocol"], service["port"]) == ("https", 443)
    assert (service["host"], service["path"]) == ("up.test", "/base")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("key", ["id", "name"])
async def test_an_entity_is_found_by_id_and_by_name(admin: Client, key: str, slash: str) -> None:
    service = await admin.make_service("orders")
    answer = await admin.get(f"/services/{service[key]}{slash}")
    assert (answer.status, answer.json) == (200, service)


async def test_a_name_beyond_ascii_is_found_by_its_escaped_path(admin: Client) -> None:
    service = await admin.make_service("café")
    assert (await admin.get("/services/caf%C3%A9")).json == service


async def test_patch_changes_only_what_it_names(admin: Client) -> None:
    service = await admin.make_service("orders", retries=7)
    answer = await admin.patch("/services/orders", json={"port": 8080})
    assert answer.status == 200
    changed = {**service, "port": 8080, "updated_at": answer.json["updated_at"]}
    assert answer.json == changed
    assert (await admin.get("/services/orders")).json == changed


async def test_put_replaces_with_defaults(admin: Client) -> None:
    service = await admin.make_service("orders", retries=7)
    answer = await admin.put(f"/services/{service['id']}", json={"host": "new.test"})
    assert answer.status == 200
    assert (answer.json["host"], answer.json["retries"]) == ("new.test", 5)
    assert answer.json["id"] == service["id"]


async def test_put_of_a_new_id_creates_and_answers_200(admin: Client) -> None:
    service_id = str(uuid.uuid4())
    answer = await admin.put(f"/services/{service_id}", json={"host": "h.test"})
    assert (answer.status, answer.json["id"]) == (200, service_id)


async def test_put_of_a_new_name_creates_it_under_that_name(admin: Client) -> None:
    answer = await admin.put("/services/orders", json={"host": "h.test"})
    assert (answer.status, answer.json["name"]) == (200, "orders")


async def test_delete_answers_204_whether_or_not_it_was_there(admin: Client) -> None:
    service = await admin.make_service("orders")
    for _ in range(2):
        answer = await admin.delete(f"/services/{service['id']}")
        assert (answer.status, answer.body) == (204, b"")
    assert (await admin.get("/services/orders")).status == 404


async def test_get_of_what_is_missing_is_404(admin: Client) -> None:
    for path in (MISSING, "/services/nothing"):
        answer = await admin.get(path)
        assert (answer.status, answer.body) == (404, b'{"message":"Not found"}')


async def test_patch_of_what_is_missing_is_404_with_code_6(admin: Client) -> None:
    answer = await admin.patch(MISSING, json={"port": 1})
    assert (answer.status, answer.json["code"], answer.json["name"]) == (404, 6, "not found")


async def test_an_empty_list_is_an_array_and_has_no_next(admin: Client) -> None:
    answer = await admin.get("/services?sort_desc=1&unknown=x")
    assert (answer.status, answer.body) == (200, b'{"data":[],"next":null}')


async def test_a_taken_name_is_409_code_5(admin: Client) -> None:
    await admin.make_service("orders")
    answer = await admin.post("/services", json={"name": "orders", "host": "h.test"})
    assert answer.status == 409
    assert answer.json == {
        "code": 5,
        "name": "unique constraint violation",
        "message": "UNIQUE violation detected on '{name=\"orders\"}'",
        "fields": {"name": "orders"},
    }


async def test_a_service_that_routes_refer_to_cannot_be_deleted(admin: Client) -> None:
    service = await admin.make_service("orders")
    await admin.post("/routes", json={"paths": ["/o"], "service": {"id": service["id"]}})
    answer = await admin.delete("/services/orders")
    assert answer.status == 400
    assert answer.json["message"] == "an existing 'routes' entity references this 'services' entity"
    assert answer.json["fields"] == {"@referenced_by": "routes"}


async def test_a_reference_to_nothing_is_400_code_4(admin: Client) -> None:
    missing = str(uuid.uuid4())
    answer = await admin.post("/routes", json={"paths": ["/o"], "service": {"id": missing}})
    assert (answer.status, answer.json["code"]) == (400, 4)
    assert answer.json["message"] == (
        f"the foreign key '{{id=\"{missing}\"}}' does not reference an existing 'services' entity."
    )


async def test_head_mirrors_get_without_a_body(admin: Client) -> None:
    await admin.make_service("orders")
    for path in ("/services", "/services/orders"):
        get, head = await admin.get(path), await admin.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize(
    "key",
    ["..", "%2e%2e", "%F0%9F%8D%87"],
)
async def test_an_odd_key_is_just_not_found(admin: Client, key: str) -> None:
    answer = await admin.get(f"/services/{key}")
    assert (answer.status, answer.message) == (404, "Not found")


@pytest.mark.parametrize("key", ["%00", "a%00b", "%FF", "a%2Fb", "a+b", "'--", "x" * 4000])
@pytest.mark.parametrize("path", ["/services/{}", "/services/{}/routes"])
async def test_a_key_that_can_be_no_name_is_400_code_10(admin: Client, path: str, key: str) -> None:
    answer = await admin.get(path.format(key))
    assert (answer.status, answer.json["code"]) == (400, 10)
    assert answer.json["name"] == "invalid unique name"


async def test_an_id_may_be_in_upper_case(admin: Client) -> None:
    service = await admin.make_service("orders")
    assert (await admin.get(f"/services/{service['id'].upper()}")).json == service


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/services", "GET, HEAD, OPTIONS, POST"),
        ("/services/x", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/services/x/routes", "GET, HEAD, OPTIONS, POST"),
        ("/services/x/routes/y", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/routes/x/service", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/schemas/routes/validate", "OPTIONS, POST"),
        ("/cluster/events", "GET, OPTIONS"),
    ],
)
async def test_options_and_405_name_the_methods_of_a_path(
    admin: Client, path: str, allow: str
) -> None:
    options = await admin.call("OPTIONS", path)
    assert (options.status, options.body, options.headers["Allow"]) == (204, b"", allow)
    wrong = await admin.call("TRACE", path)
    assert (wrong.status, wrong.headers["Allow"]) == (405, allow)
    assert wrong.body == b'{"message":"Method not allowed"}'


@pytest.mark.parametrize("path", ["/nothing", "/workspaces", "/partials", "/services/a/b/c"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
async def test_an_unknown_path_is_404(admin: Client, method: str, path: str) -> None:
    answer = await admin.call(method, path)
    assert (answer.status, answer.body) == (404, b'{"message":"Not found"}')


async def test_etag_changes_with_the_content_and_only_with_it(admin: Client) -> None:
    created = await admin.post("/services", json={"name": "orders", "host": "h.test"})
    tag = created.headers["ETag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert (await admin.get("/services/orders")).headers["ETag"] == tag
    patched = await admin.patch("/services/orders", json={"retries": 1})
    assert patched.headers["ETag"] != tag
    assert (await admin.get("/services/orders")).headers["ETag"] == patched.headers["ETag"]
