"""What watchers of a node are told."""

import asyncio
import json
from collections.abc import AsyncGenerator

from node.agent.events import Event, EventBus
from node.agent.limits import (
    EVENT_QUEUE_MAX,
    REVISION_EVENT_CHANGES_MAX,
)
from node.agent.revisions import RevisionEvents
from store.changeset import Body, Change
from store.version import Version


def body(*changes: Change) -> Body:
    return Body(bytes(16), 1.5, "origin-id", changes)


def version(revision: int) -> Version:
    return Version(1, 9, revision)


def test_a_revision_is_told_once_it_is_live_and_not_before() -> None:
    told: list[Event] = []
    revisions = RevisionEvents(told.append, lambda: True)
    route = Change("routes", "id-1", json.dumps({"name": "r"}))
    revisions.applied(version(1), body(route), 1)
    revisions.applied(version(2), body(Change("routes", "id-1", None)), 1)
    assert told == []
    revisions.live(version(1), at=2.0)
    assert told == [
        {
            "type": "revision",
            "at": 2.0,
            "revision": "1.1",
            "origin": "origin-id",
            "committed_at": 1.5,
            "changes": [["put", "routes", "r"]],
            "changes_total": 1,
        }
    ]
    revisions.live(version(2), at=3.0)
    assert [event["changes"] for event in told[1:]] == [[["delete", "routes", "id-1"]]]


def test_workers_that_skip_ahead_make_everything_before_live() -> None:
    told: list[Event] = []
    revisions = RevisionEvents(told.append, lambda: True)
    for revision in (1, 2, 3):
        revisions.applied(version(revision), body(), 0)
    revisions.live(version(3), at=1.0)
    assert [event["revision"] for event in told] == ["1.1", "1.2", "1.3"]


def test_what_is_live_is_remembered_with_the_time_since_when() -> None:
    revisions = RevisionEvents(lambda event: None, lambda: True)
    assert revisions.latest is None
    revisions.live(version(3), at=1.0)
    revisions.live(version(5), at=2.5)
    assert revisions.latest == (version(5), 2.5)


def test_nothing_is_made_of_a_revision_while_nobody_watches() -> None:
    told: list[Event] = []
    watchers = 0
    revisions = RevisionEvents(told.append, lambda: watchers > 0)
    unreadable = Change("routes", "id-1", "not read at all")
    revisions.applied(version(1), body(unreadable), 1)
    revisions.applied(version(2), body(), 0)
    revisions.live(version(1), at=1.0)
    assert revisions.latest == (version(1), 1.0)
    watchers = 1
    revisions.live(version(2), at=2.0)
    assert [event["revision"] for event in told] == ["1.2"], "what went before isn't told late"


def test_a_huge_changeset_names_some_changes_and_counts_all() -> None:
    told: list[Event] = []
    revisions = RevisionEvents(told.append, lambda: True)
    changes = [Change("services", str(number), "{}") for number in range(1_000)]
    revisions.applied(version(1), body(*changes[:100]), 1_000)
    revisions.live(version(1), at=1.0)
    assert len(told[0]["changes"]) == REVISION_EVENT_CHANGES_MAX
    assert told[0]["changes_total"] == 1_000


async def watch(bus: EventBus) -> tuple[AsyncGenerator[Event, None], "asyncio.Future[Event]"]:
    """A subscription, and its first event to come."""
    before = bus.subscribers
    stream = bus.subscribe()
    first = asyncio.ensure_future(anext(stream))
    while bus.subscribers == before:
        await asyncio.sleep(0)
    return stream, first


async def test_a_slow_watcher_loses_the_oldest_events_and_is_told_how_many() -> None:
    bus = EventBus()
    stream, first = await watch(bus)
    for number in range(EVENT_QUEUE_MAX + 3):
        bus.publish({"type": "n", "number": number})
    assert (await first)["count"] == 3
    assert (await anext(stream))["number"] == 3
    assert bus.dropped == 3
    await stream.aclose()
    assert bus.subscribers == 0


async def test_every_watcher_gets_every_event() -> None:
    bus = EventBus()
    watchers = [await watch(bus) for _ in range(3)]
    bus.publish({"type": "end"})
    for stream, first in watchers:
        assert await first == {"type": "end"}
        await stream.aclose()
    assert bus.subscribers == 0
