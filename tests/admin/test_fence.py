"""Writes that wait until everyone has them, and revisions that are waited for."""

import uuid
from typing import Any

import pytest

from node.admin.fence import header
from node.admin.limits import FENCE_NAMES_LISTED_MAX, FENCE_NAMES_SHOWN_MAX
from node.admin.node_view import Fenced, LoadedDocument
from node.named_version import NamedVersion
from store.version import Version
from tests.admin.client import Client
from tests.admin.small_node import SmallNode

PARTIAL = Fenced("partial", 4, ("gw2", "gw3"), ("gw4",))
FORKED = Fenced("forked", 4, (), ())
HEADER = {"Grapevine-Fence": "all"}
SERVICE = "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5b"


def head(node: SmallNode) -> NamedVersion:
    return NamedVersion.of(node.head().version)


async def make_parents(admin: Client) -> None:
    await admin.put(f"/services/{SERVICE}", json={"name": "s", "host": "h.test"})
    await admin.put("/routes/r", json={"paths": ["/r"], "service": {"id": SERVICE}})
    await admin.put("/upstreams/u", json={})


WRITES = [
    ("POST", "/services", {"host": "h.test"}, 201),
    ("PUT", "/services/a", {"host": "h.test"}, 200),
    ("PATCH", "/services/s", {"retries": 3}, 200),
    ("DELETE", "/routes/r", None, 204),
    ("DELETE", "/routes/nothing", None, 204),
    ("POST", "/services/s/routes", {"paths": ["/b"]}, 201),
    ("PUT", "/services/s/routes/new", {"paths": ["/b"]}, 200),
    ("PATCH", "/services/s/routes/r", {"paths": ["/b"]}, 200),
    ("DELETE", "/services/s/routes/r", None, 204),
    ("PATCH", "/routes/r/service", {"retries": 3}, 200),
    ("PUT", "/routes/r/service", {"host": "other.test"}, 200),
    ("POST", "/upstreams/u/targets", {"target": "t.test:80"}, 201),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), WRITES)
async def test_a_write_that_everyone_has_is_answered_as_ever_and_says_so(
    admin: Client, node: SmallNode, method: str, path: str, body: Any, status: int
) -> None:
    await make_parents(admin)
    assert node.fences == []
    answer = await admin.call(method, path, json=body, headers=HEADER)
    assert answer.status == status
    assert answer.headers["Grapevine-Fence"] == "complete; members=3"
    assert node.fences == [(head(node), 2.0)]
    assert answer.headers["Grapevine-Revision"] == str(node.head().version)


@pytest.mark.parametrize(("method", "path", "body", "status"), WRITES)
async def test_one_that_some_lack_is_202_with_the_body_it_would_have_had(
    admin: Client, node: SmallNode, method: str, path: str, body: Any, status: int
) -> None:
    await make_parents(admin)
    node.fenced = PARTIAL
    answer = await admin.call(method, path + "?fence=all&timeout=0.5", json=body)
    assert answer.status == 202
    expected = "partial; missing=gw2,gw3; unreachable=gw4"
    assert answer.headers["Grapevine-Fence"] == expected
    assert answer.headers["Grapevine-Revision"] == str(node.head().version)
    assert node.fences == [(head(node), 0.5)]
    if status == 204:
        assert answer.body == b""
    else:
        assert answer.json["id"]
        assert answer.headers["ETag"]


async def test_the_body_of_a_partial_answer_is_the_entity(admin: Client, node: SmallNode) -> None:
    node.fenced = PARTIAL
    answer = await admin.post("/services", json={"host": "h.test"}, headers=HEADER)
    stored = await admin.get(f"/services/{answer.json['id']}")
    assert answer.json == stored.json
    assert answer.headers["ETag"] == stored.headers["ETag"]


async def test_one_whose_history_was_left_is_409_and_says_which_revision_it_had(
    admin: Client, node: SmallNode
) -> None:
    node.fenced = FORKED
    answer = await admin.post("/services", json={"host": "h.test"}, headers=HEADER)
    assert answer.status == 409
    revision = str(node.head().version)
    assert answer.message.startswith(f"revision {revision} is no part of the cluster's history")
    assert answer.headers["Grapevine-Revision"] == revision
    assert answer.headers["Grapevine-Fence"] == "forked"
    assert "ETag" not in answer.headers


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/services", {"host": 7}, 400), ("/services/s/routes", {"paths": ["/x"]}, 404)],
)
async def test_a_write_that_failed_waits_for_nothing(
    admin: Client, node: SmallNode, path: str, body: Any, status: int
) -> None:
    answer = await admin.post(path, json=body, headers=HEADER)
    assert (answer.status, node.fences) == (status, [])
    assert "Grapevine-Fence" not in answer.headers
    node.down = "no answer"
    answer = await admin.post("/services", json={"host": "h.test"}, headers=HEADER)
    assert (answer.status, node.fences) == (503, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_writes_nothing_waits_for_nothing(
    admin: Client, node: SmallNode, method: str
) -> None:
    """decK sends its ``headers`` with everything."""
    for path in ("/services", "/services?fence=some"):
        answer = await admin.call(method, path, headers=HEADER)
        assert answer.status in (200, 204)
    answer = await admin.post("/schemas/services/validate", json={"host": "h"}, headers=HEADER)
    assert (answer.status, node.fences) == (200, [])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("all", 2.0),
        ("ALL", 2.0),
        ("all;timeout=60", 60.0),
        (" all ; Timeout = 0.25 ", 0.25),
    ],
)
async def test_the_header_names_the_time(
    admin: Client, node: SmallNode, value: str, seconds: float
) -> None:
    headers = {"Grapevine-Fence": value}
    answer = await admin.post("/services", json={"host": "h.test"}, headers=headers)
    assert answer.status == 201
    assert [one[1] for one in node.fences] == [seconds]


async def test_the_query_goes_before_the_header(admin: Client, node: SmallNode) -> None:
    headers = {"Grapevine-Fence": "all; timeout=9"}
    await admin.post("/services?fence=all&timeout=3", json={"host": "h.test"}, headers=headers)
    assert [one[1] for one in node.fences] == [3.0]


@pytest.mark.parametrize(
    ("query", "value", "told"),
    [
        ("?fence=", None, "fence: '' is not known; a write's fence is 'all'"),
        ("?fence=most", None, "fence: 'most' is not known; a write's fence is 'all'"),
        ("?fence=1.4", None, "fence: '1.4' is not known; a write's fence is 'all'"),
        ("?fence=all&timeout=", None, "timeout: '' is not a number of seconds above 0 and up to"),
        ("?fence=all&timeout=0", None, "timeout: '0' is not"),
        ("?fence=all&timeout=-1", None, "timeout: '-1' is not"),
        ("?fence=all&timeout=60.1", None, "above 0 and up to 60"),
        ("?fence=all&timeout=nan", None, "timeout: 'nan' is not"),
        ("?fence=all&timeout=1e1", None, "timeout: '1e1' is not"),
        ("?fence=all&timeout=.", None, "timeout: '.' is not"),
        ("?fence=all&timeout=2s", None, "timeout: '2s' is not"),
        ("?fence=all&timeout=" + "1" * 400, None, "is not a number of seconds"),
        ("", "", "Grapevine-Fence: '' is not known"),
        ("", "quorum", "Grapevine-Fence: 'quorum' is not known"),
        ("", "all; retries=2", "'retries=2' is not known; write 'all' or 'all; timeout=2'"),
        ("", "all; timeout=1; timeout=2", "'timeout=2' is not known"),
        ("", "all; timeout", "timeout: '' is not"),
        ("", "all;", "'' is not known"),
        ("", "all; timeout=61", "timeout: '61' is not"),
    ],
)
async def test_what_is_no_fence_is_refused_before_anything_is_done(
    admin: Client, node: SmallNode, query: str, value: str | None, told: str
) -> None:
    headers = {} if value is None else {"Grapevine-Fence": value}
    answer = await admin.post("/services" + query, json={"host": "h.test"}, headers=headers)
    assert answer.status == 400
    assert told in answer.message
    assert (await admin.get("/services")).json["data"] == []
    assert node.fences == []


async def test_a_retry_waits_for_what_its_key_wrote(admin: Client, node: SmallNode) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4()), **HEADER}
    for _ in range(2):
        await admin.post("/services", json={"host": "h.test"}, headers=headers)
    first, second = node.fences
    assert first == second


class Documents:
    """A document that is revision 1 of epoch 5, and served already."""

    async def load(self, text: str, *, unless_served: bool = False) -> LoadedDocument:
        return LoadedDocument(Version(5, 0xAB, 1), None)

    async def shown(self) -> str:
        return ""


async def test_a_document_waits_for_all_too(admin: Client, node: SmallNode) -> None:
    node.documents = Documents()
    for outcome, status in ((node.fenced, 304), (PARTIAL, 202)):
        node.fenced = outcome
        answer = await admin.post(
            "/config?fence=all",
            data=b"_format_version: '3.0'",
            headers={"Content-Type": "text/yaml"},
        )
        assert (answer.status, answer.body) == (status, b"")
        assert answer.headers["Grapevine-Fence"] == header(outcome)
    assert node.fences == 2 * [(NamedVersion(5, 1, f"{0xAB:016x}"), 2.0)]


def test_a_header_is_bounded_and_safe_whatever_the_names_are() -> None:
    many = tuple(f"gw{number}" for number in range(FENCE_NAMES_SHOWN_MAX + 17))
    shown = ",".join(many[:FENCE_NAMES_SHOWN_MAX])
    value = header(Fenced("partial", 99, many, ("a,b; c\r\nX: é\ud800",)))
    assert value == (
        f"partial; missing={shown}; missing-total={len(many)}; "
        "unreachable=a%2Cb%3B%20c%0D%0AX%3A%20%C3%A9%3F"
    )
    assert header(Fenced("partial", 0, (), ())) == "partial"
    assert header(Fenced("partial", 2, (), ("gw2",))) == "partial; unreachable=gw2"


async def test_a_revision_that_is_everywhere(admin: Client, node: SmallNode) -> None:
    answer = await admin.get("/cluster/revision?fence=1.42&timeout=7")
    assert answer.status == 200
    assert answer.json == {"revision": "1.42", "complete": True, "members": 3}
    assert answer.headers["Grapevine-Fence"] == "complete; members=3"
    assert node.fences == [(NamedVersion(1, 42, ""), 7.0)]


async def test_a_revision_that_some_lack(admin: Client, node: SmallNode) -> None:
    many = tuple(f"gw{number}" for number in range(FENCE_NAMES_LISTED_MAX + 1))
    node.fenced = Fenced("partial", 200, many, ("gw4",))
    answer = await admin.get("/cluster/revision?fence=1.42-0123ABCD")
    assert answer.status == 202
    assert answer.json == {
        "revision": "1.42-0123abcd",
        "complete": False,
        "members": 200,
        "missing": list(many[:-1]),
        "missing_total": len(many),
        "unreachable": ["gw4"],
        "unreachable_total": 1,
    }
    assert node.fences == [(NamedVersion(1, 42, "0123abcd"), 2.0)]


async def test_a_revision_that_was_left(admin: Client, node: SmallNode) -> None:
    node.fenced = FORKED
    answer = await admin.get("/cluster/revision?fence=1.42-0123456789abcdef")
    assert answer.status == 409
    assert answer.message.startswith("revision 1.42-0123456789abcdef is no part of")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("fence=", "fence: '' is not a version; versions look like 1.42"),
        ("fence=all", "fence: 'all' is not a version"),
        ("fence=1", "fence: '1' is not a version"),
        ("fence=1.42-abc", "fence: 'abc' is not a version's tag"),
        ("fence=1.42-zzzzzzzz", "fence: 'zzzzzzzz' is not a version's tag"),
        ("fence=1.99999999999999999999", "is not a version"),
        ("fence=1.42&timeout=0", "timeout: '0' is not"),
        ("fence=1.42&timeout=x", "timeout: 'x' is not"),
    ],
)
async def test_a_bad_question_for_a_revision_is_400(
    admin: Client, node: SmallNode, query: str, told: str
) -> None:
    answer = await admin.get(f"/cluster/revision?{query}")
    assert answer.status == 400
    assert told in answer.message
    assert node.fences == []


async def test_without_a_fence_the_revision_is_told_as_ever(admin: Client, node: SmallNode) -> None:
    answer = await admin.get("/cluster/revision", headers=HEADER)
    assert answer.json["converged"] is True
    assert node.fences == []
