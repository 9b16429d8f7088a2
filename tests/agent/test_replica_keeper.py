"""The replica on disk, as the agent keeps it: whatever the disk does, the node goes on."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from node.agent import replica_keeper
from node.agent.replica_keeper import ReplicaKeeper
from node.agent.serving import Serving
from store.changeset import Changeset
from store.contents import PinnedState
from store.replica import Applied, Replica
from store.replica_file import persister
from store.replica_file.aside import kept_aside
from store.replica_file.file import ReplicaFile
from store.version import EMPTY, GENESIS
from tests.store.replica_history import head_of, random_history

AUTHORITY, OTHER = "0c3f4b52-4d0a-4b2e-9a55-6a3c0a4f6f11", "9b0a7ef8-6f0a-4b63-8d5e-3a9a4f6b2c77"
HISTORY: list[Changeset] = list(islice(random_history(random.Random(5)), 60))


class Node:
    """A replica, and what keeps it."""

    def __init__(self, path: Path) -> None:
        self.replica = Replica("")
        self.serving = Serving(self.replica, self._applied, self._loaded)
        self.keeper = ReplicaKeeper(path, self.serving, lambda: None)

    def _applied(self, applied: Applied) -> None:
        self.keeper.applied(applied.changeset)

    def _loaded(self) -> None:
        self.keeper.replaced()

    async def start(
        self, expected_id: str = AUTHORITY, serves: Callable[[], bool] = lambda: True
    ) -> str | None:
        async def on_hot(hot: PinnedState) -> None:
            self.hot = list(hot.changes())

        kept = await self.keeper.load(lambda: expected_id, on_hot)
        self.keeper.identified(expected_id)
        self.keeper.start(serves)
        return kept

    def apply(self, end: int) -> None:
        for item in HISTORY[self.serving.version.revision : end]:
            assert self.serving.offer(*item) == "applied"

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)

    def is_kept(self) -> bool:
        return self.keeper.status().version == self.serving.version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "replica.db"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persister, "RETRY_SECONDS", (0.02,))


async def test_what_the_file_has_come_to_is_known_before_it_is_read(path: Path) -> None:
    before = Node(path)
    await before.start()
    before.apply(20)
    await before.keeper.finish()
    node = Node(path)
    assert node.keeper.found("") == EMPTY
    await node.keeper.look()
    assert node.serving.version == GENESIS
    assert node.keeper.found("") == node.keeper.found(AUTHORITY) == before.serving.head()
    assert node.keeper.found(OTHER) == EMPTY, "a copy of another authority is no evidence"
    await node.start()
    assert node.keeper.found("") == EMPTY
    assert node.serving.head() == before.serving.head()
    await node.keeper.finish()


@pytest.mark.parametrize("content", [None, b"", b"no database"])
async def test_a_file_that_tells_nothing_is_looked_at_in_vain(
    path: Path, content: bytes | None
) -> None:
    if content is not None:
        await asyncio.to_thread(path.write_bytes, content)
    node = Node(path)
    await node.keeper.look()
    assert node.keeper.found("") == EMPTY
    assert await node.start() is None
    await node.keeper.finish()


async def test_what_was_applied_until_the_end_is_there_at_the_next_start(path: Path) -> None:
    node = Node(path)
    assert await node.start() is None
    node.apply(20)
    await node.until(node.is_kept)
    node.apply(40)
    await node.keeper.finish()
    again = Node(path)
    assert await again.start() == AUTHORITY
    assert again.serving.head() == head_of(HISTORY[39])
    assert list(again.replica.changes()) == list(node.replica.changes())
    assert again.replica.changesets(*head_of(HISTORY[20]), 10**9) == HISTORY[21:40]
    again.apply(50)
    await again.keeper.finish()
    third = Node(path)
    await third.start()
    assert third.serving.head() == head_of(HISTORY[49])
    await third.keeper.finish()


async def test_a_node_serves_first_and_writes_then(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_keeper, "REPLICA_SERVE_LOOK_SECONDS", 0.001)
    looks: list[bool] = []

    def serves() -> bool:
        looks.append(len(looks) >= 20)
        assert node.keeper.counters()["replica_file_writes"] == 0
        return looks[-1]

    node = Node(path)
    await node.start(serves=serves)
    node.apply(20)
    await node.until(node.is_kept)
    assert len(looks) == 21
    await node.keeper.finish()


@pytest.mark.parametrize("bound", ["REPLICA_SERVE_FIRST_SECONDS", "PENDING_CHANGESETS_MAX"])
async def test_what_waits_for_long_or_is_much_is_written_whoever_serves(
    path: Path, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Node(path)
    await before.start()
    before.apply(10)
    await before.keeper.finish()
    monkeypatch.setattr(replica_keeper, "REPLICA_SERVE_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(replica_keeper, bound, 10)
    if bound == "REPLICA_SERVE_FIRST_SECONDS":
        monkeypatch.setattr(replica_keeper, bound, 0.001)
    node = Node(path)
    await node.start(serves=lambda: False)
    node.apply(20)
    await node.until(node.is_kept)
    await node.keeper.finish()


async def test_what_waits_at_the_end_is_written_though_nothing_was_served(path: Path) -> None:
    node = Node(path)
    await node.start(serves=lambda: False)
    node.apply(20)
    await node.keeper.finish()
    assert node.is_kept()


async def test_a_file_of_another_authority_is_no_evidence(path: Path) -> None:
    node = Node(path)
    await node.start()
    node.apply(10)
    await node.keeper.finish()
    other = Node(path)
    assert await other.start(OTHER) is None
    assert not other.serving.loaded
    other.apply(3)
    await other.until(other.is_kept)
    await other.keeper.finish()
    assert len(kept_aside(path)) == 1
    assert other.keeper.counters()["replica_file_set_aside"] == 1


async def test_a_file_that_turns_out_damaged_while_it_runs_is_replaced(path: Path) -> None:
    node = Node(path)
    await node.start()
    node.apply(10)
    await node.until(node.is_kept)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE about SET revision = 5")
    connection.close()
    node.apply(12)
    await node.until(node.is_kept)
    assert len(kept_aside(path)) == 1
    await node.keeper.finish()
    again = Node(path)
    await again.start()
    assert again.serving.head() == head_of(HISTORY[11])
    await again.keeper.finish()


async def test_a_full_disk_is_told_once_and_what_is_missing_is_written_when_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = ReplicaFile.write_batch
    room = {"pages": 1}

    def bounded(self: ReplicaFile, *arguments: object) -> object:
        self.connection.execute(f"PRAGMA max_page_count = {room['pages']}")
        return real(self, *arguments)  # type: ignore[arg-type]

    node = Node(path)
    await node.start()
    node.apply(5)
    await node.until(node.is_kept)
    monkeypatch.setattr(ReplicaFile, "write_batch", bounded)
    node.apply(40)
    await node.until(lambda: node.keeper.counters()["replica_file_failures"] >= 4)
    assert "full" in node.keeper.status().problem
    assert node.serving.head() == head_of(HISTORY[39])
    told = [line for line in caplog.messages if "can't be kept on disk" in line]
    assert len(told) == 1
    room["pages"] = 100_000
    await node.until(node.is_kept)
    assert node.keeper.status().problem == ""
    await node.keeper.finish()
    again = Node(path)
    await again.start()
    assert list(again.replica.changes()) == list(node.replica.changes())
    await again.keeper.finish()


async def test_a_file_that_somebody_removed_is_written_again(path: Path) -> None:
    node = Node(path)
    await node.start()
    node.apply(10)
    await node.until(node.is_kept)
    for file in path.parent.glob("replica.db*"):
        file.unlink()
    node.apply(20)
    await node.until(node.is_kept)
    await node.keeper.finish()
    again = Node(path)
    await again.start()
    assert again.serving.head() == head_of(HISTORY[19])
    await again.keeper.finish()
