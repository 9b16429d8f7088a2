"""What the agent asks its workers about caches, and what it makes of their answers."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from gossip.events import Purged
from gossip.invalidation import By, Invalidation
from gossip.messages.purges import Purge, Source
from node import channel
from node.agent import caches as module
from node.agent.caches import Caches
from node.agent.workers import Workers
from node.channel import Peek, Peeked
from store.version import Version
from tests.gossip.drive import node_id

KEY = "consumers:c1:::::"
WHAT = Invalidation("entities", By.KEY, KEY)


class Two:
    """Two workers that the test speaks for."""

    def __init__(self, count: int = 2) -> None:
        self.count = count
        self.said: list[channel.Purge | Peek] = []
        self.on_peeked: Callable[[Peeked], None]

    def say(self, frame: channel.Purge | Peek) -> int:
        self.said.append(frame)
        return self.count

    def counters(self) -> dict[str, int]:
        return {"cache_purges": 3, "total_requests": 7}


def of(workers: Two) -> Caches:
    def spread(what: Invalidation) -> Purge:
        source = Source(node_id(1), 1, 7, what.cache)
        return Purge(source, 4, what.by, what.text, (1, 0, 9))

    return Caches(cast("Workers", workers), spread, lambda: Version(1, 0, 5))


async def peek(caches: Caches, workers: Two, *answers: tuple[str, ...] | None) -> object:
    asking = asyncio.create_task(caches.peek(KEY))
    await asyncio.sleep(0)
    asked = workers.said[-1]
    assert isinstance(asked, Peek)
    assert asked.key == KEY
    for texts in answers:
        workers.on_peeked(Peeked(asked.number, texts))
    return await asking


async def test_the_first_worker_that_has_something_answers() -> None:
    workers = Two()
    caches = of(workers)
    assert await peek(caches, workers, None, ("{}",)) == ("{}",)
    assert await peek(caches, workers, ("{}",)) == ("{}",)
    assert await peek(caches, workers, None, None) is None


async def test_workers_that_do_not_answer_have_nothing_to_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PEEK_SECONDS", 0.01)
    workers = Two()
    caches = of(workers)
    assert await peek(caches, workers, None) is None
    workers.on_peeked(Peeked(0, ("too late",)))
    assert await of(Two(count=0)).peek(KEY) is None


async def test_a_purge_that_comes_by_gossip_goes_to_the_workers_with_its_version() -> None:
    workers = Two()
    caches = of(workers)
    caches.purged(Purged(WHAT, (1, 0, 9)))
    assert workers.said == [channel.Purge("entities", By.KEY, KEY, (1, 0, 9))]


async def test_a_purge_of_the_cluster_is_named_and_told_here_by_gossip_alone() -> None:
    workers = Two()
    assert of(workers).invalidate(WHAT) == (node_id(1), 4)
    assert workers.said == []


async def test_forgetting_is_for_the_version_that_is_served() -> None:
    workers = Two()
    caches = of(workers)
    caches.forget(KEY)
    caches.forget(None)
    assert workers.said == [
        channel.Purge("entities", By.KEY, KEY, (1, 0, 5)),
        channel.Purge("entities", By.ALL, "", (1, 0, 5)),
    ]


def test_only_what_is_about_caches_is_counted() -> None:
    assert of(Two()).counters() == {"cache_purges": 3, "cache_purges_again": 0}
