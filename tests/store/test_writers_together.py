"""Writes of one node that share a transaction, on both engines."""

import asyncio
from collections.abc import Sequence

import pytest

from store import write
from store.authority import Authority, Committed, Create, Delete, Mutation, Patch, Put
from store.changeset import decode_body
from store.errors import AuthorityUnavailable, EntityError
from store.postgres import PostgresAuthority
from store.sqlite import SqliteAuthority
from store.write_queue import WriteQueue
from tests.store.conftest import Engine
from tests.store.history import check_history


def queue_of(authority: Authority) -> WriteQueue:
    assert isinstance(authority, PostgresAuthority | SqliteAuthority)
    return authority.writes.queue


async def write_together(
    authority: Authority, *writes: Sequence[Mutation]
) -> list[Committed | BaseException]:
    """Writes that arrive while another is under way, and so share the next transaction."""
    first = asyncio.create_task(authority.write([Create("services", {"host": "h"})], origin=""))
    async with asyncio.timeout(10):
        while not queue_of(authority).under_way:
            await asyncio.sleep(0)
    before = queue_of(authority).counters["transactions"]
    outcomes = await asyncio.gather(
        *(authority.write(mutations, origin="") for mutations in writes), return_exceptions=True
    )
    await first
    assert queue_of(authority).counters["transactions"] == before + 1
    return outcomes


def codes(outcomes: Sequence[Committed | BaseException]) -> list[int]:
    """Revisions of what was committed, negative codes of what was refused."""
    shown = []
    for outcome in outcomes:
        if isinstance(outcome, Committed):
            shown.append(outcome.head.version.revision)
        else:
            assert isinstance(outcome, EntityError)
            shown.append(-outcome.code)
    return shown


async def test_each_has_a_revision_and_a_changeset_of_its_own(authority: Authority) -> None:
    outcomes = await write_together(
        authority, *([Create("services", {"name": name, "host": "h"})] for name in "abc")
    )
    assert codes(outcomes) == [2, 3, 4]
    for outcome, name in zip(outcomes, "abc", strict=True):
        assert isinstance(outcome, Committed)
        assert outcome.changeset is not None
        (change,) = decode_body(outcome.changeset.body).changes
        assert outcome.entities[0] is not None
        assert change.id == outcome.entities[0]["id"]
        assert outcome.entities[0]["name"] == name
        assert outcome.changeset.version == outcome.head.version
    assert await check_history(authority) == 4


async def test_one_that_is_refused_does_not_hurt_the_others(authority: Authority) -> None:
    outcomes = await write_together(
        authority,
        [Create("services", {"name": "a", "host": "h"})],
        [Create("services", {"name": "b", "host": "h"}), Create("services", {"name": "a"})],
        [Create("services", {"name": "a", "host": "h"})],
        [Create("services", {"name": "b", "host": "h"})],
        [Patch("services", "none", {})],
    )
    assert codes(outcomes) == [2, -2, -5, 3, -6]
    assert await check_history(authority) == 3


async def test_each_finds_what_those_before_it_made(authority: Authority) -> None:
    outcomes = await write_together(
        authority,
        [Create("services", {"name": "s", "host": "h"})],
        [Create("routes", {"name": "r", "paths": ["/"], "service": {"name": "s"}})],
        [Delete("services", "s")],
        [Patch("services", "s", {"retries": 1})],
        [Patch("services", "s", {"name": "t", "port": 1})],
        [Put("services", "s", {"host": "another"})],
        [Patch("routes", "r", {"service": {"name": "s"}})],
        [Delete("services", "t")],
        [Delete("services", "t")],
    )
    assert codes(outcomes) == [2, 3, -4, 4, 5, 6, 7, 8, 8]
    assert await check_history(authority) == 8
    entity = await authority.get("services", "s")
    assert entity is not None
    assert entity["host"] == "another"


async def test_a_name_that_is_taken_is_refused_without_a_second_transaction(
    authority: Authority,
) -> None:
    await authority.write([Create("services", {"name": "s", "host": "h"})], origin="")
    outcomes = await write_together(
        authority,
        [Create("services", {"name": "s", "host": "h"})],
        [Create("services", {"name": "t", "host": "h"})],
    )
    assert codes(outcomes) == [-5, 3]


async def test_a_deletion_takes_what_another_of_them_has_just_made(engine: Engine) -> None:
    authority = await engine.connect()
    service = await authority.write([Create("services", {"name": "s", "host": "h"})], origin="")
    assert service.entities[0] is not None
    reference = {"id": service.entities[0]["id"]}
    outcomes = await write_together(
        authority,
        [Create("routes", {"name": "r", "paths": ["/"], "service": reference})],
        [Delete("services", "s")],
        [Delete("routes", "r"), Delete("services", "s")],
        [Create("routes", {"name": "r", "paths": ["/"], "service": reference})],
    )
    assert codes(outcomes) == [3, -4, 4, -4]
    assert await check_history(authority) == 4


async def test_what_a_refused_one_would_have_referred_to_is_not_referred_to(
    authority: Authority,
) -> None:
    await authority.write(
        [
            Create("services", {"name": "s", "host": "h"}),
            Create("routes", {"name": "r", "paths": ["/"]}),
        ],
        origin="",
    )
    outcomes = await write_together(
        authority,
        [Patch("routes", "r", {"service": {"name": "s"}}), Patch("services", "none", {})],
        [Delete("services", "s")],
    )
    assert codes(outcomes) == [-6, 3]
    assert await check_history(authority) == 3


async def test_retries_of_one_write_id_are_done_once(authority: Authority) -> None:
    outcomes = await asyncio.gather(
        *(
            authority.write(
                [Create("services", {"name": "s", "host": "h"})], origin="", write_id=b"w" * 16
            )
            for _ in range(5)
        )
    )
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert await check_history(authority) == 1


async def test_changesets_that_no_statement_could_carry_together_go_one_by_one(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "BODY_BYTES_MAX", 600)
    outcomes = await write_together(
        authority,
        [Create("services", {"host": "h"})],
        [Create("services", {"host": "h"})],
        [Create("services", {"host": "h"}), Create("services", {"host": "h"})],
        [Create("services", {"host": "h"})],
    )
    assert codes(outcomes) == [2, 3, -2, 4]
    assert await check_history(authority) == 4


async def test_a_thousand_at_once_are_all_done_in_few_transactions(authority: Authority) -> None:
    outcomes = await asyncio.gather(
        *(authority.write([Create("services", {"host": "h"})], origin="") for _ in range(1000))
    )
    assert sorted(item.head.version.revision for item in outcomes) == list(range(1, 1001))
    assert queue_of(authority).counters["transactions"] <= 20
    assert await check_history(authority) == 1000


async def test_one_too_many_is_refused_with_the_reason(authority: Authority) -> None:
    queue_of(authority).waiting_max = 2
    outcomes = await asyncio.gather(
        *(authority.write([Create("services", {"host": "h"})], origin="") for _ in range(5)),
        return_exceptions=True,
    )
    refused = [item for item in outcomes if isinstance(item, AuthorityUnavailable)]
    assert len(refused) == queue_of(authority).counters["writes_refused"] > 0
    assert "2 writes wait for the database already; try again" in str(refused[0])
    assert await check_history(authority) == 5 - len(refused)


async def test_one_that_is_cancelled_while_it_waits_is_not_done(authority: Authority) -> None:
    writes = [
        asyncio.create_task(authority.write([Create("services", {"name": name})], origin=""))
        for name in "ab"
    ]
    good = asyncio.create_task(authority.write([Create("services", {"host": "h"})], origin=""))
    await asyncio.sleep(0)
    writes[1].cancel()
    outcomes = await asyncio.gather(*writes, good, return_exceptions=True)
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert codes([outcomes[0], outcomes[2]]) == [-2, 1]


@pytest.mark.parametrize("count", [1, 4])
async def test_those_that_wait_are_answered_when_the_authority_is_closed(
    authority: Authority, count: int
) -> None:
    def write() -> asyncio.Task[Committed]:
        return asyncio.create_task(authority.write([Create("services", {"host": "h"})], origin=""))

    first = write()
    async with asyncio.timeout(10):
        while not queue_of(authority).under_way:
            await asyncio.sleep(0)
    writes = [write() for _ in range(count)]
    await asyncio.sleep(0)
    assert len(queue_of(authority)) == count
    await authority.close()
    first_outcome, *outcomes = await asyncio.gather(first, *writes, return_exceptions=True)
    assert isinstance(first_outcome, Committed | AuthorityUnavailable)
    for outcome in outcomes:
        assert isinstance(outcome, AuthorityUnavailable)
        assert "isn't open" in str(outcome)
