"""A worker's look-ups of cold kinds: what it waits for, and when it says that nobody can tell."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.channel import Ask, Told
from node.proxy import limits
from node.proxy.cold import ColdLookups, ColdUnavailable
from store.replica import Replica
from store.replica_file.file import ReplicaFile
from store.version import EMPTY, Head
from tests.store.keycards import KIND, card_id, keycard, known_keycards, no_keycard
from tests.store.replica_history import changeset, head_of


@pytest.fixture(autouse=True)
def keycards_are_known() -> Iterator[None]:
    with known_keycards():
        yield


class Pair:
    """The agent's side of things, and a worker's look-ups."""

    def __init__(self, path: Path) -> None:
        self.asked: list[Ask] = []
        self.replica = Replica("a")
        self.file = ReplicaFile(path)
        self.lookups = ColdLookups(path, self.asked.append, lambda: 1_000.0)
        self.item = changeset(EMPTY, keycard(1, "a"), keycard(2, "b", expires_at=1_000))
        self.replica.offer(*self.item)

    def write(self) -> None:
        whole = self.file.begin_whole()
        whole.write(list(self.replica.changes()))
        whole.finish(Head(*self.replica.head()), "a")

    def keep(self) -> None:
        about = self.file.about()
        assert about is not None
        self.lookups.kept(about.fill, about.head.version)

    def answer(self) -> None:
        question = self.asked.pop(0)
        rows = self.replica.rows_by(question.kind, question.field, question.value, 10)
        self.lookups.told(Told(question.number, self.replica.head()[0], rows))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path / "replica.db")
    yield pair
    pair.lookups.close()
    pair.file.close()


async def test_what_the_file_holds_is_found_without_waiting(pair: Pair) -> None:
    pair.write()
    pair.lookups.loaded(head_of(pair.item).version)
    pair.keep()
    assert pair.lookups.find_now(KIND, "key", "a") == (keycard(1, "a").entity,)
    assert pair.lookups.find_now(KIND, "id", card_id(1)) == (keycard(1, "a").entity,)
    assert pair.lookups.find_now(KIND, "consumer", "c0") == (keycard(1, "a").entity,)
    assert pair.lookups.find_now(KIND, "key", "b") == (), "it has expired"
    assert pair.lookups.find_now(KIND, "key", "none") == ()
    assert await pair.lookups.find(KIND, "key", "a") == (keycard(1, "a").entity,)
    assert pair.asked == []


async def test_where_the_file_is_ahead_the_changeset_is_waited_for(pair: Pair) -> None:
    pair.lookups.loaded(head_of(pair.item).version)
    later = changeset(head_of(pair.item), no_keycard(1))
    pair.replica.offer(*later)
    pair.write()
    pair.keep()
    assert pair.lookups.find_now(KIND, "key", "a") is None
    finding = asyncio.create_task(pair.lookups.find(KIND, "key", "a"))
    await asyncio.sleep(0)
    assert not finding.done()
    pair.lookups.apply(later.version, [no_keycard(1)])
    assert await finding == ()


async def test_without_a_file_the_agent_is_asked(pair: Pair) -> None:
    pair.lookups.loaded(head_of(pair.item).version)
    for key, texts in (("a", (keycard(1, "a").entity,)), ("none", ())):
        finding = asyncio.create_task(pair.lookups.find(KIND, "key", key))
        while not pair.asked:
            await asyncio.sleep(0)
        pair.answer()
        assert await finding == texts


async def test_an_agent_that_can_not_tell_is_no_such_entity_to_nobody(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = asyncio.create_task(pair.lookups.find(KIND, "key", "a"))
    while not pair.asked:
        await asyncio.sleep(0)
    pair.lookups.told(Told(pair.asked[0].number, None, ()))
    with pytest.raises(ColdUnavailable):
        await finding
    monkeypatch.setattr(limits, "COLD_WAIT_SECONDS", 0.01)
    with pytest.raises(ColdUnavailable):
        await pair.lookups.find(KIND, "key", "a")


async def test_a_file_set_aside_is_not_read_any_more(pair: Pair, tmp_path: Path) -> None:
    pair.write()
    pair.lookups.loaded(head_of(pair.item).version)
    pair.keep()
    assert pair.lookups.find_now(KIND, "key", "a") is not None
    pair.file.close()
    (tmp_path / "replica.db").unlink()
    assert pair.lookups.find_now(KIND, "key", "none") is None
    pair.file = ReplicaFile(tmp_path / "replica.db")
    assert pair.lookups.find_now(KIND, "key", "none") is None
    pair.write()
    assert pair.lookups.find_now(KIND, "key", "none") is None, "nobody has vouched for it"
    pair.keep()
    assert pair.lookups.find_now(KIND, "key", "none") == ()
