"""``POST /config`` on a node with a database: what is answered, and what is never in an answer."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from node.admin import config, whole
from node.admin.limits import DOCUMENTS_AT_ONCE_MAX, TOUCHED_LISTED_MAX
from store.declarative.standing import StateTooLarge
from store.limits import DOCUMENT_BYTES_MAX
from tests.admin.client import Answer, Client
from tests.admin.small_node import SmallNode

DOCUMENT = """
_format_version: "3.0"
services:
- name: one
  host: a.test
  routes: [{name: r, paths: [/]}]
consumers:
- username: bob
  keyauth_credentials: [{key: the-secret-key}]
"""


async def post(admin: Client, text: str, query: str = "", **headers: str) -> Answer:
    content = {"Content-Type": "text/yaml", **headers}
    return await admin.post(f"/config{query}", data=text.encode(), headers=content)


def listed(answer: Answer, kind: str, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.json["changes"][kind][what]
    return found


async def test_a_document_is_one_revision_and_the_answer_says_what_it_changed(
    admin: Client,
) -> None:
    answer = await post(admin, DOCUMENT)
    assert answer.status == 201
    assert answer.headers["Grapevine-Revision"] == answer.json["revision"] == "1.1"
    assert answer.json["counts"] == {"created": 4, "changed": 0, "deleted": 0, "unchanged": 0}
    assert (answer.json["dry_run"], answer.json["written"]) == (False, True)
    assert list(answer.json["changes"]) == [
        "services",
        "routes",
        "consumers",
        "keyauth_credentials",
    ]
    (service,) = listed(answer, "services", "created")
    assert service["name"] == "one"
    assert (await admin.get("/services/one")).json["id"] == service["id"]
    changed = await post(admin, DOCUMENT.replace("a.test", "b.test"))
    assert listed(changed, "services", "changed") == [
        {"id": service["id"], "name": "one", "fields": ["host"]}
    ]


async def test_the_same_again_writes_nothing_and_says_so(admin: Client) -> None:
    await post(admin, DOCUMENT)
    answer = await post(admin, DOCUMENT)
    assert answer.status == 200
    assert (answer.json["written"], answer.json["changes"]) == (False, {})
    assert answer.json["counts"]["unchanged"] == 4
    assert answer.headers["Grapevine-Revision"] == "1.1"


@pytest.mark.parametrize("switch", ["?dry_run=1", "?dry_run=true"])
async def test_a_dry_run_tells_what_would_be_and_writes_nothing(
    admin: Client, node: SmallNode, switch: str
) -> None:
    answer = await post(admin, DOCUMENT, switch)
    assert (answer.status, answer.json["dry_run"], answer.json["written"]) == (200, True, False)
    assert answer.json["counts"]["created"] == 4
    assert answer.json["revision"] == "1.0"
    assert "Grapevine-Revision" not in answer.headers
    assert (await node.authority.head()).version.revision == 0


async def test_no_secret_is_in_an_answer(admin: Client) -> None:
    for query in ("?dry_run=1", ""):
        answer = await post(admin, DOCUMENT, query)
        assert b"the-secret-key" not in answer.body
        (credential,) = listed(answer, "keyauth_credentials", "created")
        assert credential["name"] is None
    gone = await post(admin, '_format_version: "3.0"')
    assert b"the-secret-key" not in gone.body


async def test_what_is_left_out_goes_unless_that_is_switched_off(admin: Client) -> None:
    await post(admin, DOCUMENT)
    empty = '_format_version: "3.0"'
    kept = await post(admin, empty, "?prune=false")
    assert (kept.status, kept.json["counts"]["deleted"]) == (200, 0)
    gone = await post(admin, empty)
    assert (gone.status, gone.json["counts"]["deleted"]) == (201, 4)
    assert (await admin.get("/services")).json["data"] == []


@pytest.mark.parametrize("query", ["?dry_run=maybe", "?prune="])
async def test_a_switch_that_is_neither_is_refused(admin: Client, query: str) -> None:
    answer = await post(admin, DOCUMENT, query)
    assert answer.status == 400
    assert "write true or false" in answer.message
    assert (await admin.get("/services")).json["data"] == []


async def test_json_and_forms_are_taken_too(admin: Client) -> None:
    values = {"_format_version": "3.0", "services": [{"name": "one", "host": "h"}]}
    text = json.dumps(values)
    form = aiohttp.FormData()
    form.add_field("config", text, filename="kong.yml")
    bodies: list[dict[str, Any]] = [
        {"json": values},
        {"json": {"config": text}},
        {"data": {"config": text}},
        {"data": form},
    ]
    statuses = [(await admin.post("/config", **body)).status for body in bodies]
    assert statuses == [201, 200, 200, 200]


@pytest.mark.parametrize(
    "body", [{}, {"json": {}}, {"json": {"services": []}}, {"data": {"x": "y"}}, {"data": b" "}]
)
async def test_no_document_at_all_is_told_so(admin: Client, body: dict[str, Any]) -> None:
    plain = {"Content-Type": "text/yaml"} if isinstance(body.get("data"), bytes) else {}
    answer = await admin.post("/config", headers=plain, **body)
    assert (answer.status, answer.json) == (
        400,
        {"message": "expected a declarative configuration"},
    )


async def test_a_document_with_errors_changes_nothing_and_names_them_all(
    admin: Client, node: SmallNode
) -> None:
    text = '{"_format_version": "3.0", "services": [{"name": "a"}, {"host": "h", "port": "x"}]}'
    answer = await post(admin, text)
    assert answer.status == 400
    assert (answer.json["code"], answer.json["name"]) == (14, "invalid declarative configuration")
    assert answer.json["fields"] == {
        "services": [{"host": "required field missing"}, {"port": "expected an integer"}]
    }
    assert (await node.authority.head()).version.revision == 0
    assert (await post(admin, "services: [")).json["code"] == 14


async def test_errors_are_one_list_if_that_is_asked_for(admin: Client) -> None:
    text = '{"_format_version": "3.0", "services": [{"name": "a", "tags": ["t"]}]}'
    answer = await post(admin, text, "?flatten_errors=1")
    assert answer.status == 400
    (item,) = answer.json["flattened_errors"]
    assert (item["entity_type"], item["entity_name"]) == ("service", "a")
    assert item["entity_tags"] == ["t"]
    assert answer.json["fields"] == {}
    assert answer.json["message"] == "declarative config is invalid: {}"
    assert "flattened_errors" not in (await post(admin, text)).json
    unread = await post(admin, "services: [", "?flatten_errors=1")
    assert (unread.status, unread.json["code"]) == (400, 14)


async def test_a_plugin_that_this_node_does_not_run_is_refused(admin: Client) -> None:
    answer = await post(admin, '{"_format_version": "3.0", "plugins": [{"name": "nowhere"}]}')
    assert answer.status == 400
    assert "not enabled" in answer.json["fields"]["plugins"][0]["name"]


async def test_if_match_names_the_revision_that_is_replaced(admin: Client) -> None:
    first = await post(admin, DOCUMENT)
    assert first.headers["ETag"] == '"1.1"'
    await admin.make_service("other")
    late = await post(admin, DOCUMENT, **{"If-Match": '"1.1"'})
    assert (late.status, late.message) == (
        412,
        "the configuration is at 1.2, not as If-Match names it",
    )
    assert (await post(admin, DOCUMENT, **{"If-Match": "1.1"})).status == 400
    assert (await admin.get("/services/other")).status == 200
    compared = await post(admin, DOCUMENT, "?dry_run=1")
    done = await post(admin, DOCUMENT, **{"If-Match": compared.headers["ETag"]})
    assert done.status == 201
    assert (await admin.get("/services/other")).status == 404


async def test_a_retry_with_its_key_is_told_and_does_nothing(admin: Client) -> None:
    key = {"Idempotency-Key": "deploy-17"}
    first = await post(admin, DOCUMENT, **key, **{"If-Match": '"1.0"'})
    assert first.status == 201
    await admin.make_service("other")
    again = await post(admin, DOCUMENT, **key, **{"If-Match": '"1.0"'})
    assert again.status == 200
    assert again.json == {"dry_run": False, "written": False, "revision": "1.1", "repeated": True}
    assert again.headers["Grapevine-Revision"] == first.headers["Grapevine-Revision"]
    assert (await admin.get("/services/other")).status == 200


async def test_a_write_waits_for_its_fence_and_a_dry_run_for_nothing(
    admin: Client, node: SmallNode
) -> None:
    await post(admin, DOCUMENT, "?fence=all&dry_run=1")
    assert node.fences == []
    answer = await post(admin, DOCUMENT, "?fence=all")
    assert answer.headers["Grapevine-Fence"] == "complete; members=3"
    assert len(node.fences) == 1


async def test_what_is_too_large_is_refused(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DOCUMENT_BYTES_MAX", 100)
    assert (await post(admin, DOCUMENT)).status == 413
    monkeypatch.setattr(config, "DOCUMENT_BYTES_MAX", DOCUMENT_BYTES_MAX)

    async def too_large(*_: object, **__: object) -> None:
        raise StateTooLarge("the database holds more than 2 entities")

    monkeypatch.setattr(whole, "bring", too_large)
    answer = await post(admin, DOCUMENT)
    assert (answer.status, answer.message) == (413, "the database holds more than 2 entities")


async def test_lists_are_bounded_and_counts_are_not(admin: Client) -> None:
    number = TOUCHED_LISTED_MAX + 3
    services = [{"name": f"s{place}", "host": "h"} for place in range(number)]
    answer = await admin.post("/config", json={"_format_version": "3.0", "services": services})
    assert len(listed(answer, "services", "created")) == TOUCHED_LISTED_MAX
    assert answer.json["changes"]["services"]["counts"] == {"created": number}
    assert answer.json["counts"]["created"] == number


async def test_documents_wait_for_each_other_and_only_a_few_may(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    at_work = 0
    most = 0
    put_in_place = whole.put_in_place

    async def slow(*arguments: Any) -> Any:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await go_on.wait()
        at_work -= 1
        return await put_in_place(*arguments)

    monkeypatch.setattr(config, "put_in_place", slow)
    waiting = [asyncio.create_task(post(admin, DOCUMENT)) for _ in range(DOCUMENTS_AT_ONCE_MAX + 1)]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = done
    assert refused.result().status == 503
    assert "Retry-After" in refused.result().headers
    go_on.set()
    assert sorted([(await task).status for task in pending]) == [200, 200, 200, 201]
    assert most == 1


async def test_a_database_that_is_away_is_said(admin: Client, node: SmallNode) -> None:
    node.down = "postgres at db:5432 is not reachable"
    answer = await post(admin, DOCUMENT)
    assert (answer.status, answer.message) == (503, node.down)
