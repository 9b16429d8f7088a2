"""The log is bounded by count and age, and a node that needs what is gone is told so."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from store import log_trim
from store.authority import Authority, Create
from store.limits import TRIM_EVERY
from store.log_trim import LogBounds, is_due
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from store.sqlite import SqliteAuthority
from store.version import EMPTY, Head
from tests.store.conftest import Engine

DAY = 24 * 3600.0


class Clock:
    now = 1000 * DAY

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bounded(engine: Engine, bounds: LogBounds, clock: Clock) -> PostgresAuthority | SqliteAuthority:
    if isinstance(engine.address, PostgresAddress):
        return PostgresAuthority(engine.address, clock=clock, log_bounds=bounds)
    return SqliteAuthority(engine.address, clock=clock, log_bounds=bounds)


@pytest.fixture
async def authority(
    engine: Engine, clock: Clock
) -> AsyncIterator[PostgresAuthority | SqliteAuthority]:
    """At most 20 revisions stay, and 5 however old."""
    authority = bounded(engine, LogBounds(20, 5, 3 * DAY), clock)
    await authority.open()
    yield authority
    await authority.close()


async def write(authority: Authority, count: int) -> list[Head]:
    heads = []
    for _ in range(count):
        heads.append((await authority.write([Create("services", {"host": "h"})], origin="")).head)
    return heads


async def kept(authority: Authority, heads: list[Head]) -> int:
    """How many of the last revisions can still be read."""
    points = [EMPTY, *heads]
    for index, point in enumerate(points):
        following = await authority.log(point)
        if following is not None:
            return len(points) - 1 - index + bool(index)
    raise AssertionError("not even the head is known")


async def test_a_log_keeps_the_newest_revisions(
    authority: PostgresAuthority | SqliteAuthority,
) -> None:
    heads = await write(authority, 30)
    assert await authority.trim_log(30) == 10
    assert await authority.trim_log(30) == 0
    assert await kept(authority, heads) == 20
    assert await authority.log(EMPTY) is None
    assert len(await authority.log(heads[10]) or ()) == 19
    assert (await authority.head()) == heads[-1]
    assert len((await authority.state()).entities) == 30
    (after,) = await write(authority, 1)
    assert after.version.revision == 31


async def test_what_is_old_goes_but_the_last_few_stay(
    authority: PostgresAuthority | SqliteAuthority, clock: Clock
) -> None:
    heads = await write(authority, 8)
    clock.now += 2 * DAY
    heads += await write(authority, 2)
    assert await authority.trim_log(10) == 0
    clock.now += 1.5 * DAY
    assert await authority.trim_log(10) == 5
    assert await kept(authority, heads) == 5
    clock.now += 100 * DAY
    assert await authority.trim_log(10) == 0


async def test_a_long_log_gets_shorter_a_part_at_a_time(
    authority: PostgresAuthority | SqliteAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_trim, "TRIM_ROWS_MAX", 4)
    heads = await write(authority, 30)
    assert [await authority.trim_log(30) for _ in range(4)] == [4, 4, 2, 0]
    assert await kept(authority, heads) == 20


async def test_nodes_that_trim_at_once_do_no_harm(
    engine: Engine, authority: PostgresAuthority | SqliteAuthority, clock: Clock
) -> None:
    others = [bounded(engine, LogBounds(20, 5, DAY), clock) for _ in range(3)]
    for other in others:
        await other.open()
    heads = await write(authority, 40)
    await asyncio.gather(*(other.trim_log(40) for other in others), write(authority, 5))
    assert await kept(authority, heads) == 20
    for other in others:
        await other.close()


async def test_writers_trim_now_and_then(
    authority: PostgresAuthority | SqliteAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_trim, "TRIM_EVERY", 8)
    heads = await write(authority, 24)
    async with asyncio.timeout(10):
        while await authority.log(heads[2]) is not None:
            await asyncio.sleep(0.01)
    assert await kept(authority, heads) == 20


def test_every_revision_is_in_one_turn_however_they_are_grouped() -> None:
    for size in (1, 7, 64, TRIM_EVERY, 3 * TRIM_EVERY):
        ends = range(size, 4 * TRIM_EVERY + size, size)
        turns = sum(is_due(end, size) for end in ends)
        assert turns == min(ends[-1] // TRIM_EVERY, len(ends))


def test_bounds_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="keeps 1 to 5 revisions at least, not 6"):
        LogBounds(5, 6, 1.0)
