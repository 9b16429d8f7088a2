"""What all workers of a node serve: those that can answer a request, and only those."""

import asyncio
from typing import cast

import pytest

from node import channel
from node.agent.serving import Serving
from node.agent.worker import Worker
from node.agent.workers import Workers
from node.channel import Applied, Apply, Drain, Listen, Ready, Snapshot
from node.proxy.settings import ProxySettings
from store.authority import State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.history import EPOCHS, Epoch, Reach
from store.lineage import encode_record
from store.replica import Applied as AppliedChangeset
from store.replica import Replica
from store.version import Head, Version
from tests.agent.test_feeding import Pipe

SOON = 0.001
"""Seconds: the time of a wait that nothing ends."""
LONG = 30.0


def version(revision: int, epoch: int = 1, tag: int = 7) -> Version:
    return Version(epoch, tag, revision)


class Replicas(Serving):
    """A replica that may have left a version behind."""

    forked: Version | None = None

    def reach(self, version: tuple[int, int, int]) -> Reach:
        if version == self.forked:
            return "forked"
        return super().reach(version)


class Played(Worker):
    """A worker whose process the test plays."""

    def __init__(self, owner: "Node") -> None:
        super().__init__(0, owner.workers)
        self.pipe = Pipe()
        self.configured = True
        self.connection_made(cast("asyncio.BaseTransport", self.pipe))

    def kill(self) -> None:
        raise AssertionError("killed")

    def says(self, *frames: channel.Frame) -> None:
        for frame in frames:
            self.data_received(channel.encode(frame))

    def applies(self, revision: int) -> None:
        self.says(Applied(version(revision), 0.0))

    def begins(self, revision: int) -> None:
        """It serves the state that it was fed."""
        self.applies(revision)
        self.says(Ready(1))


class Node:
    """The workers of one node, and what it was told of them."""

    def __init__(self) -> None:
        self.live: list[Version] = []
        self.serving = Replicas(Replica("a"), self._applied, self._loaded)
        self.serving.replica.load(State(Head(version(1), bytes(32)), ()))
        self.workers = Workers(
            cast("ProxySettings", None),
            [],
            self.serving,
            lambda: None,
            lambda live: self.live.append(Version(*live)),
        )
        self.workers._listening = True

    def _applied(self, applied: AppliedChangeset) -> None:
        self.workers.publish(applied.changeset.version, ())

    def _loaded(self) -> None:
        self.workers.publish_state()

    async def worker(self, *, fed: bool = True) -> Played:
        """One more, which listens."""
        worker = Played(self)
        self.workers._running.add(worker)
        if fed:
            await self.feed(worker)
            worker.begins(self.serving.version.revision)
        return worker

    async def feed(self, worker: Played) -> None:
        worker.feed(self.serving.replica.pin())
        while worker._feeding is not None:
            await asyncio.sleep(0)

    def commit(self) -> Version:
        """The replica comes to the next revision."""
        head = self.serving.head()
        body = encode_body(Body(bytes(16), 1.0, "n", (Change("routes", "r", "{}"),)))
        following = version(head.version.revision + 1)
        changeset = Changeset(following, head.digest, chain(head.digest, body), body)
        assert self.serving.offer(*changeset) == "applied"
        return following


@pytest.fixture
async def node() -> Node:
    return Node()


async def waits(node: Node, wanted: Version) -> "asyncio.Task[Reach]":
    task = asyncio.create_task(node.workers.until(wanted, LONG))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_without_workers_the_replica_is_what_counts(node: Node) -> None:
    assert node.workers.reach(version(1)) == "reached"
    waiting = await waits(node, version(2))
    assert node.commit() == version(2)
    assert await waiting == "reached"


async def test_all_workers_must_have_it(node: Node) -> None:
    first, second = await node.worker(), await node.worker()
    wanted = node.commit()
    waiting = await waits(node, wanted)
    first.applies(2)
    await asyncio.sleep(0)
    assert not waiting.done()
    second.applies(2)
    assert await waiting == "reached"
    assert await node.workers.until(wanted, SOON) == "reached"


async def test_a_descendant_will_do(node: Node) -> None:
    worker = await node.worker()
    wanted = node.commit()
    waiting = await waits(node, wanted)
    node.commit()
    worker.applies(3)
    assert await waiting == "reached"


async def test_a_late_worker_is_late_and_nothing_is_left_behind(node: Node) -> None:
    first = await node.worker()
    await node.worker()
    wanted = node.commit()
    first.applies(2)
    assert await node.workers.until(wanted, SOON) == "behind"
    assert not node.workers._waiters


async def test_one_that_drains_counts_until_it_ends(node: Node) -> None:
    current, old = await node.worker(), await node.worker()
    old.drain(None)
    assert Drain(None) in old.pipe.frames
    waiting = await waits(node, node.commit())
    current.applies(2)
    await asyncio.sleep(0)
    assert not waiting.done(), "its connections are still answered by what it serves"
    assert old.pipe.frames[-1] == Apply(version(2), ())
    node.workers._exited(old, 0)
    assert await waiting == "reached"


async def test_one_that_drains_and_has_it_is_not_waited_for(node: Node) -> None:
    current, old = await node.worker(), await node.worker()
    old.drain(None)
    waiting = await waits(node, node.commit())
    old.applies(2)
    current.applies(2)
    assert await waiting == "reached"


async def test_one_that_died_does_not_count(node: Node) -> None:
    current, dead = await node.worker(), await node.worker()
    node.workers._stopping = True  # it isn't replaced here
    waiting = await waits(node, node.commit())
    current.applies(2)
    node.workers._exited(dead, -9)
    assert await waiting == "reached"


async def test_one_that_does_not_listen_yet_does_not_count(node: Node) -> None:
    current = await node.worker()
    new = await node.worker(fed=False)
    await node.feed(new)
    wanted = node.commit()
    current.applies(2)
    assert node.workers.reach(wanted) == "reached"


async def test_a_node_takes_requests_once_a_worker_accepts_not_once_it_is_told_to(
    node: Node,
) -> None:
    """Between the two its port refuses connections: a balancer that was told 'ready' would fail."""
    node.workers._sockets = [[]]
    worker = await node.worker()
    assert worker.listening
    assert not node.workers.listening
    worker.says(channel.Listening())
    assert node.workers.listening


async def test_one_begins_to_listen_behind_what_the_others_have(node: Node) -> None:
    """Else a connection could be answered by a state that everyone was said to have left."""
    new = await node.worker(fed=False)
    await node.feed(new)
    new.applies(1)
    node.serving.replica.load(State(Head(version(9), bytes(32)), ()))
    node.workers.publish_state()
    new.says(Ready(1))
    assert node.workers.reach(version(9)) == "behind"
    while new._feeding is not None:
        await asyncio.sleep(0)
    kinds = [type(frame) for frame in new.pipe.frames]
    assert kinds[-1] is Listen
    assert kinds.index(Listen) > max(i for i, kind in enumerate(kinds) if kind is Snapshot)
    new.applies(9)
    assert node.workers.reach(version(9)) == "reached"


async def test_what_a_worker_served_before_its_state_was_replaced_counts_for_nothing(
    node: Node,
) -> None:
    """Revision 5 of the history that was left isn't below revision 5 of the new one."""
    worker = await node.worker()
    for _ in range(4):
        node.commit()
    worker.applies(5)
    record = Epoch(2, 8, 2, Head(version(2), bytes(32)), Head(version(5), bytes(32)), 0.0, "n")
    epochs = (Change(EPOCHS, "e", encode_record("e", record)),)
    node.serving.replica.load(State(Head(version(3, 2, 8), bytes(32)), epochs))
    node.workers.publish_state()
    assert node.workers.reach(version(2)) == "behind"
    worker.applies(5)
    assert node.workers.reach(version(2)) == "behind"
    worker.says(Applied(version(3, 2, 8), 0.0))
    assert node.workers.reach(version(3, 2, 8)) == "reached"


async def test_a_history_that_was_left_is_told_at_once(node: Node) -> None:
    await node.worker()
    waiting = await waits(node, version(7))
    node.serving.forked = version(7)
    node.serving.replica.load(State(Head(version(3, 2, 8), bytes(32)), ()))
    node.workers.publish_state()
    assert await waiting == "forked"


async def test_versions_of_another_epoch_are_not_mistaken_for_this_ones(node: Node) -> None:
    worker = await node.worker()
    node.commit()
    worker.applies(2)
    assert node.workers.reach(version(1, 2, 8)) == "behind"


async def test_what_is_live_is_told_once_and_only_forward(node: Node) -> None:
    first, second = await node.worker(), await node.worker()
    node.commit()
    first.applies(2)
    second.applies(2)
    first.applies(2)
    await node.worker()
    assert node.live == [version(1), version(2)]


async def test_one_that_was_there_before_the_first_state_gets_it_though_it_came_by_a_changeset(
    node: Node,
) -> None:
    worker = await node.worker(fed=False)
    wanted = node.commit()
    while worker._feeding is not None:
        await asyncio.sleep(0)
    assert worker.fed
    worker.begins(wanted.revision)
    assert node.workers.reach(wanted) == "reached"
