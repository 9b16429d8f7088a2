"""The cluster's keyring in the authority: both engines alike."""

import asyncio

import pytest

from store import read as reads
from store.authority import Authority, KeyringRow
from store.errors import SchemaMismatch
from store.limits import KEYRING_BYTES_MAX
from tests.store.conftest import EVERY_ENGINE, Engine

AUTHOR = "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a"


def row(counter: int, wrapped: bytes = b"sealed", tag: int = 2**64 - 1) -> KeyringRow:
    return KeyringRow(counter, AUTHOR, tag, wrapped)


@EVERY_ENGINE
async def test_there_is_none_before_the_first_change(authority: Authority) -> None:
    assert await authority.keyring() is None
    assert (await authority.open()).keyring is None


@EVERY_ENGINE
async def test_what_was_stored_is_read_back_whole_and_learned_at_open(engine: Engine) -> None:
    first, second = [await engine.connect() for _ in range(2)]
    stored = row(2**62, bytes(range(256)) * (KEYRING_BYTES_MAX // 256))
    assert await first.store_keyring(stored, 0)
    assert await second.keyring() == stored
    assert (await second.open()).keyring == stored


@EVERY_ENGINE
async def test_a_change_replaces_the_one_it_was_made_from_and_no_other(
    authority: Authority,
) -> None:
    assert await authority.store_keyring(row(1), 0)
    assert not await authority.store_keyring(row(1, b"other"), 0), "one is there already"
    assert await authority.store_keyring(row(2), 1)
    assert not await authority.store_keyring(row(2, b"late"), 1)
    assert not await authority.store_keyring(row(9), 8), "none with that counter is there"
    assert await authority.keyring() == row(2)


@EVERY_ENGINE
async def test_none_is_replaced_where_there_is_none(authority: Authority) -> None:
    """A database that was restored from before the first change."""
    assert not await authority.store_keyring(row(4), 3)
    assert await authority.keyring() is None


@EVERY_ENGINE
async def test_the_same_keyring_may_be_wrapped_anew(authority: Authority) -> None:
    assert await authority.store_keyring(row(3), 0)
    assert await authority.store_keyring(row(3, b"anew"), 3)
    assert await authority.keyring() == row(3, b"anew")


@EVERY_ENGINE
@pytest.mark.parametrize("expected", [0, 1])
async def test_of_changes_at_once_exactly_one_is_stored(engine: Engine, expected: int) -> None:
    authorities = [await engine.connect() for _ in range(4)]
    if expected:
        assert await authorities[0].store_keyring(row(expected), 0)
    for attempt in range(5):
        counter = expected + attempt
        outcomes = await asyncio.gather(
            *(
                authority.store_keyring(row(counter + 1, tag=number), counter)
                for number, authority in enumerate(authorities)
            )
        )
        assert sorted(outcomes) == [False, False, False, True]
        stored = await authorities[0].keyring()
        assert stored == row(counter + 1, tag=outcomes.index(True))


@EVERY_ENGINE
async def test_a_schema_without_a_place_for_it_has_none_and_takes_none(engine: Engine) -> None:
    await engine.sql("DROP TABLE keyring")
    await engine.sql(f"UPDATE authority SET schema_version = {reads.SCHEMA_VERSION_MIN}")
    authority = await engine.connect()
    assert (await authority.open()).schema_version == 1
    assert await authority.keyring() is None
    with pytest.raises(SchemaMismatch, match="run 'grapevine migrations up'"):
        await authority.store_keyring(row(1), 0)


def test_keys_are_in_no_text_about_it() -> None:
    assert "sealed" not in repr(row(1))
