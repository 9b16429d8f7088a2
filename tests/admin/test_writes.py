"""Writes name their revision, retries with a key are safe, failures say what is known."""

import uuid

import pytest
from blake3 import blake3
from multidict import CIMultiDict

from node.admin.errors import Refusal, error_answer
from node.admin.limits import IDEMPOTENCY_KEY_CHARS_MAX
from node.admin.writes import write_id
from store.errors import AuthorityUnavailable, EntityError, OutcomeUnknown
from tests.admin.client import Client
from tests.admin.small_node import SmallNode


async def test_every_write_answers_the_authoritys_revision(admin: Client, node: SmallNode) -> None:
    start = node.head().version
    for step, (method, path) in enumerate(
        [
            ("POST", "/services"),
            ("PUT", "/services/a"),
            ("PATCH", "/services/a"),
            ("DELETE", "/services/a"),
        ],
        start=1,
    ):
        answer = await admin.call(method, path, json={"host": f"h{step}.test"})
        assert answer.headers["Grapevine-Revision"] == f"{start.epoch}.{start.revision + step}"
    assert node.head().version.revision == start.revision + 4


async def test_a_write_that_changes_nothing_takes_no_revision(
    admin: Client, node: SmallNode
) -> None:
    before = str(node.head().version)
    answer = await admin.delete("/services/nothing")
    assert (answer.status, answer.headers["Grapevine-Revision"]) == (204, before)


@pytest.mark.parametrize("key", ["order-4711", "0d9c1a4e-7b42-4c9e-8a52-3f6f3a0f9b11"])
async def test_a_retry_with_the_same_key_makes_nothing_new(admin: Client, key: str) -> None:
    body, headers = {"host": "h.test"}, {"Idempotency-Key": key}
    first = await admin.post("/services", json=body, headers=headers)
    second = await admin.post("/services", json=body, headers=headers)
    assert (first.status, second.status) == (201, 201)
    assert second.json == first.json
    assert len((await admin.get("/services")).json["data"]) == 1


async def test_a_key_that_named_another_write_is_422(admin: Client) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await admin.post("/services", json={"name": "a", "host": "h.test"}, headers=headers)
    again = await admin.post("/routes", json={"paths": ["/a"]}, headers=headers)
    assert again.status == 422
    assert first.headers["Grapevine-Revision"] in again.message
    assert (await admin.get("/routes")).json["data"] == []


def test_a_uuid_is_the_write_id_and_other_keys_are_hashed() -> None:
    some = uuid.uuid4()
    assert write_id(CIMultiDict({"idempotency-key": str(some)})) == some.bytes
    hashed = write_id(CIMultiDict({"Idempotency-Key": " order-4711 "}))
    assert hashed == blake3(b"order-4711").digest(16)
    assert write_id(CIMultiDict()) is None


@pytest.mark.parametrize("key", ["", " ", "é", "a\tb", "x" * (IDEMPOTENCY_KEY_CHARS_MAX + 1)])
def test_a_bad_key_is_refused(key: str) -> None:
    with pytest.raises(Refusal, match="Idempotency-Key must be") as refused:
        write_id(CIMultiDict({"Idempotency-Key": key}))
    assert refused.value.status == 400


def test_an_unknown_outcome_is_503_with_an_id_that_serves_as_the_key_of_the_retry() -> None:
    sent = uuid.uuid4()
    answer = error_answer(OutcomeUnknown("connection lost in COMMIT", sent.bytes))
    assert answer is not None
    assert answer.status == 503
    assert answer.text == (
        f'{{"message":"connection lost in COMMIT","outcome":"unknown","id":"{sent}"}}'
    )
    assert write_id(CIMultiDict({"Idempotency-Key": str(sent)})) == sent.bytes


async def test_with_the_authority_away_writes_are_503_and_reads_come_from_the_replica(
    admin: Client, node: SmallNode
) -> None:
    service = await admin.make_service("orders", tags=["a"])
    node.down = "no answer from authority.db in 5 s"
    for path, expected in (
        ("/services/orders", service),
        (f"/services/{service['id']}", service),
        ("/services?tags=a", {"data": [service], "next": None}),
        ("/services/orders/routes", {"data": [], "next": None}),
    ):
        answer = await admin.get(path)
        assert (answer.status, answer.json) == (200, expected)
        assert answer.headers["Grapevine-Source"] == "replica"
        assert answer.headers["Grapevine-Revision"] == str(node.head().version)
    for method, path in (
        ("POST", "/services"),
        ("PATCH", "/services/orders"),
        ("DELETE", "/services/orders"),
        ("POST", "/services/orders/routes"),
    ):
        answer = await admin.call(method, path, json={"host": "x.test"})
        assert (answer.status, answer.json) == (503, {"message": node.down})
    node.down = ""
    answer = await admin.get("/services/orders")
    assert answer.json == service
    assert "Grapevine-Source" not in answer.headers


async def test_a_read_that_finds_the_authority_gone_turns_to_the_replica(
    admin: Client, node: SmallNode
) -> None:
    service = await admin.make_service("orders")
    await node.authority.close()
    answer = await admin.get("/services/orders")
    assert (answer.status, answer.json) == (200, service)
    assert answer.headers["Grapevine-Source"] == "replica"


async def test_an_empty_replica_does_not_claim_that_there_is_nothing(
    admin: Client, node: SmallNode
) -> None:
    node.replica = type(node.replica)(node.info.id)
    node.down = "authority.db is missing"
    answer = await admin.get("/services")
    assert (answer.status, answer.message) == (503, "authority.db is missing")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EntityError(3, "primary key violation", "m", {"id": "x"}), 400),
        (EntityError(12, "operation unsupported", "m", {}), 405),
        (EntityError(13, "foreign keys unresolved", "m", {}), 400),
        (AuthorityUnavailable("m"), 503),
        (EntityError(8, "database error", "secret", {}), None),
        (EntityError(99, "unheard of", "secret", {}), None),
        (ValueError("secret"), None),
    ],
)
def test_errors_map_to_kongs_statuses(error: Exception, status: int | None) -> None:
    answer = error_answer(error)
    assert (answer.status if answer else None) == status


async def test_a_connection_lost_behind_the_node_is_answered(
    admin: Client, node: SmallNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def commit(*_: object) -> None:
        raise ConnectionResetError("the database's, not the client's")

    monkeypatch.setattr(node, "commit", commit)
    answer = await admin.post("/services", json={"host": "h.test"})
    assert (answer.status, answer.message) == (500, "An unexpected error occurred")


async def test_an_unforeseen_error_is_a_500_that_tells_nothing_and_one_log_line(
    admin: Client,
    node: SmallNode,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(node, "members", broken)
    answer = await admin.get("/cluster")
    assert (answer.status, answer.body) == (500, b'{"message":"An unexpected error occurred"}')
    lines = [record for record in caplog.records if record.name == "grapevine.admin"]
    assert len(lines) == 1
    assert lines[0].exc_info is not None
    assert str(lines[0].exc_info[1]) == "secret detail"
