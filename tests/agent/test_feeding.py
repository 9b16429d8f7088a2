"""A worker being fed a whole state, over a transport that the test holds."""

import asyncio
from typing import Any, cast

import pytest

from node import channel
from node.agent import worker as workers
from node.agent.intake import Arriving
from node.agent.limits import SNAPSHOT_SLICE_CHANGES
from node.agent.serving import Serving
from node.agent.worker import Large, Owed, Owner, Worker
from node.channel import Applied, Apply, Decoder, Frame, Listen, Part, Snapshot, Told
from store.authority import State
from store.changeset import Body, Change, Changeset, encode_body
from store.contents import PinnedState
from store.replica import Replica
from store.version import Head, Version

COUNT = 10 * SNAPSHOT_SLICE_CHANGES
TURNS_MAX = 1_000


class Pipe:
    """The channel's transport: keeps what is written, and pauses the writer when it is told to."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._decoder = Decoder()

    def write(self, data: bytes) -> None:
        self.frames += self._decoder.feed(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def versions(self) -> list[Any]:
        """(version, first, last) of slices and (version,) of changesets, in order."""
        return [
            (frame.version[2], frame.first, frame.last)
            if isinstance(frame, Snapshot)
            else (cast("Apply", frame).version[2],)
            for frame in self.frames
        ]


class Killable(Worker):
    """Notes that it was killed."""

    killed = False

    def kill(self) -> None:
        self.killed = True


class Nobody:
    """Minds nothing that the worker says."""

    def worker_applied(self, worker: Worker, applied: Applied) -> None:
        pass


class Fed:
    def __init__(self) -> None:
        self.pipe = Pipe()
        self.worker = Killable(0, cast("Owner", Nobody()))
        self.worker.connection_made(cast("asyncio.BaseTransport", self.pipe))

    async def until_fed(self) -> None:
        for _ in range(TURNS_MAX):
            if self.worker.fed:
                return
            await asyncio.sleep(0)
        raise AssertionError("the worker was never fed")

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    def publish(self, revision: int) -> None:
        self.worker.publish(channel.encode(Apply((1, 7, revision), ())))


@pytest.fixture
async def fed() -> Fed:
    return Fed()


def pinned(revision: int, count: int = COUNT) -> PinnedState:
    changes = tuple(Change("services", f"{number:05d}", "{}") for number in range(count))
    replica = Replica("a")
    replica.load(State(Head(Version(1, 7, revision), bytes(32)), changes))
    return replica.pin()


async def test_a_state_goes_out_in_slices_of_bounded_size(fed: Fed) -> None:
    state = pinned(5)
    fed.worker.feed(state)
    await fed.until_fed()
    frames = [frame for frame in fed.pipe.frames if isinstance(frame, Snapshot)]
    assert [change for frame in frames for change in frame.changes] == list(state.changes())
    assert max(len(frame.changes) for frame in frames) == SNAPSHOT_SLICE_CHANGES
    assert [frame.first for frame in frames] == [True] + [False] * (len(frames) - 1)
    assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]


async def test_an_empty_state_is_one_too(fed: Fed) -> None:
    fed.worker.feed(pinned(5, count=0))
    await fed.until_fed()
    versions = fed.pipe.versions()
    assert versions[0][1]
    assert versions[-1][2]


async def test_others_have_their_turns_between_slices(fed: Fed) -> None:
    fed.worker.feed(pinned(5))
    turns = 0
    while not fed.worker.fed:
        await asyncio.sleep(0)
        turns += 1
        assert turns < TURNS_MAX
    assert turns >= 10


async def test_changesets_that_come_meanwhile_follow_the_state(fed: Fed) -> None:
    fed.worker.feed(pinned(5))
    await fed.turns(3)
    fed.publish(6)
    fed.publish(7)
    await fed.until_fed()
    fed.publish(8)
    assert fed.pipe.versions()[-4:] == [(5, False, True), (6,), (7,), (8,)]
    assert sum(1 for frame in fed.pipe.frames if isinstance(frame, Apply)) == 3


async def test_one_without_a_state_is_sent_no_changesets(fed: Fed) -> None:
    fed.publish(6)
    await fed.turns(3)
    assert fed.pipe.frames == []


async def test_a_later_state_takes_the_place_of_one_under_way(fed: Fed) -> None:
    fed.worker.feed(pinned(5))
    await fed.turns(3)
    fed.publish(6)
    fed.worker.feed(pinned(9))
    fed.publish(10)
    await fed.until_fed()
    versions = fed.pipe.versions()
    begin = versions.index((9, True, False))
    assert all(version[0] == 5 and not version[2] for version in versions[:begin])
    assert {version[0] for version in versions[begin:-1]} == {9}
    assert versions[-2:] == [(9, False, True), (10,)]


async def test_one_that_is_slow_to_read_is_sent_no_more_than_it_takes(fed: Fed) -> None:
    fed.worker.feed(pinned(5))
    await fed.turns(3)
    fed.worker.pause_writing()
    await fed.turns(2)
    sent = len(fed.pipe.frames)
    await fed.turns(50)
    assert len(fed.pipe.frames) == sent
    fed.worker.resume_writing()
    await fed.until_fed()


async def test_one_that_takes_nothing_in_is_killed(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SLICE_SECONDS", 0.0)
    fed.worker.pause_writing()
    fed.worker.feed(pinned(5))
    await fed.turns(10)
    assert fed.worker.killed


async def test_one_that_has_too_much_waiting_for_it_is_killed(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "CHANNEL_BACKLOG_BYTES_MAX", 100)
    fed.worker.pause_writing()
    fed.worker.feed(pinned(5))
    for revision in range(6, 20):
        fed.publish(revision)
    assert fed.worker.killed


def large(revision: int, count: int = COUNT) -> Large:
    """Of every second change, that workers hold it."""
    changes = tuple(
        Change("services" if number % 2 else "consumers", f"{number:05d}", "{}")
        for number in range(count)
    )
    body = encode_body(Body(bytes(16), 1.0, "n", changes))
    return Large(Changeset(Version(1, 7, revision), bytes(32), bytes(32), body), count)


def revisions(fed: Fed) -> list[int]:
    """Of changesets and parts, in order."""
    return [frame.version[2] for frame in fed.pipe.frames if isinstance(frame, Apply | Part)]


async def test_a_large_changeset_goes_out_in_slices(fed: Fed) -> None:
    fed.worker.feed(pinned(5, count=0))
    await fed.until_fed()
    begin = len(fed.pipe.frames)
    fed.worker.publish(large(6))
    await fed.turns(50)
    frames = [frame for frame in fed.pipe.frames[begin:] if isinstance(frame, Part)]
    changes = [change for frame in frames for change in frame.changes]
    assert [change[1] for change in changes] == [f"{number:05d}" for number in range(1, COUNT, 2)]
    assert {change[0] for change in changes} == {"services"}, "cold kinds are in the file"
    assert max(len(frame.changes) for frame in frames) == SNAPSHOT_SLICE_CHANGES
    assert [frame.first for frame in frames] == [True] + [False] * (len(frames) - 1)
    assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert {(frame.version, frame.total) for frame in frames} == {((1, 7, 6), COUNT)}


async def test_what_follows_a_large_changeset_waits_until_that_is_served(fed: Fed) -> None:
    fed.worker.feed(pinned(5))
    fed.worker.publish(large(6))
    fed.publish(7)
    fed.worker.publish(large(8, count=2 * SNAPSHOT_SLICE_CHANGES))
    fed.publish(9)
    await fed.until_fed()
    for before, after in ((6, 8), (8, 9)):
        await fed.turns(50)
        last = fed.pipe.frames[-1]
        assert isinstance(last, Part)
        assert last.last
        assert last.version[2] == before
        fed.worker.data_received(channel.encode(Applied((1, 7, before), 1.0)))
        await fed.turns(50)
        assert revisions(fed)[-1] == after
    assert revisions(fed) == sorted(revisions(fed))
    assert 7 in revisions(fed)
    fed.publish(10)
    assert fed.pipe.frames[-1] == Apply((1, 7, 10), ())


async def test_a_state_takes_the_place_of_a_large_changeset_under_way(fed: Fed) -> None:
    fed.worker.feed(pinned(5, count=0))
    await fed.until_fed()
    fed.worker.publish(large(6))
    await fed.turns(3)
    fed.worker.feed(pinned(9))
    await fed.turns(50)
    fed.publish(10)
    assert fed.pipe.frames[-1] == Apply((1, 7, 10), ())
    assert not any(frame.last for frame in fed.pipe.frames if isinstance(frame, Part))


async def test_what_a_worker_asked_is_answered_after_the_state_that_takes_that_place(
    fed: Fed,
) -> None:
    fed.worker.feed(pinned(5, count=0))
    await fed.until_fed()
    fed.worker.publish(large(6))
    await fed.turns(3)
    served = [6]
    fed.publish(7)
    fed.worker.publish(Owed(lambda: Told(1, (1, 7, served[0]), ())))
    fed.worker.listen()
    served[0] = 9
    fed.worker.feed(pinned(9))
    await fed.turns(50)
    *_, last, told, listen = fed.pipe.frames
    assert isinstance(last, Snapshot)
    assert last.last
    assert (told, listen) == (Told(1, (1, 7, 9), ()), Listen()), "each once, and as it is by then"
    assert not any(isinstance(frame, Apply) for frame in fed.pipe.frames), "the state has it"


async def test_one_that_never_serves_a_large_changeset_is_killed(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LARGE_SECONDS", 0.0)
    fed.worker.feed(pinned(5, count=0))
    await fed.until_fed()
    fed.worker.publish(large(6))
    await fed.turns(50)
    assert fed.worker.killed


class Incoming:
    """A state that comes in from a peer, slice by slice."""

    def __init__(self, revision: int) -> None:
        self.source = Replica("a")
        state = pinned(revision)
        self.source.load(State(state.head, tuple(state.changes())))
        self.serving = Serving(Replica("a"), lambda *_: None, lambda: None)
        self.arriving: list[Arriving] = []
        self.serving.on_arriving = self.arriving.append
        state_hash = self.source.state_hash() or b""
        self.installation = self.serving.begin_install(*self.source.head(), state_hash)
        self.slices = list(self.source.give().slices(1_000))

    def feed(self, count: int) -> None:
        for _ in range(count):
            assert self.installation.feed(self.slices.pop(0))


def sent(fed: Fed) -> list[Any]:
    return [
        change
        for frame in fed.pipe.frames
        if isinstance(frame, Snapshot)
        for change in frame.changes
    ]


async def test_a_worker_is_fed_ahead_of_a_state_and_then_the_rest_of_it(fed: Fed) -> None:
    incoming = Incoming(5)
    fed.worker.feed_ahead(incoming.arriving[0])
    many = len(incoming.slices)
    for _ in range(many // 2):
        incoming.feed(1)
        await fed.turns(3)
    assert many // 4 < len(sent(fed)) < COUNT
    assert not fed.worker.fed
    fed.publish(4)
    incoming.feed(many - many // 2)
    assert incoming.installation.finish() == "installed"
    fed.worker.feed(incoming.serving.replica.pin())
    fed.publish(6)
    await fed.until_fed()
    await fed.turns(3)
    assert sent(fed) == list(incoming.source.changes()), "each once"
    snapshots = [frame for frame in fed.pipe.frames if isinstance(frame, Snapshot)]
    assert [frame.first for frame in snapshots] == [True] + [False] * (len(snapshots) - 1)
    assert [frame.last for frame in snapshots] == [False] * (len(snapshots) - 1) + [True]
    assert fed.pipe.versions()[-1] == (6,)
    assert fed.pipe.versions()[-2] == (5, False, True)


async def test_a_worker_is_fed_ahead_of_a_state_that_is_read_at_the_authority(fed: Fed) -> None:
    state = pinned(5)
    arriving: list[Arriving] = []
    serving = Serving(Replica("a"), lambda *_: None, lambda: None)

    def begins(begun: Arriving) -> None:
        arriving.append(begun)
        fed.worker.feed_ahead(begun)

    serving.on_arriving = begins
    loading = asyncio.create_task(serving.load(State(state.head, tuple(state.changes()))))
    sent_before_its_end = 0
    while not loading.done():
        sent_before_its_end = len(sent(fed))
        await asyncio.sleep(0)
    await loading
    assert COUNT * 3 // 4 < sent_before_its_end < COUNT, "all but the last slice"
    fed.worker.feed(serving.replica.pin())
    await fed.until_fed()
    assert sent(fed) == list(state.changes()), "each once"
    assert fed.pipe.versions()[-1] == (5, False, True)
    await serving.load(State(pinned(9).head, ()))
    assert len(arriving) == 1, "what is served goes on being served until the next is whole"


async def test_another_state_than_the_one_that_came_ahead_begins_anew(fed: Fed) -> None:
    incoming = Incoming(5)
    fed.worker.feed_ahead(incoming.arriving[0])
    incoming.feed(len(incoming.slices) // 2)
    await fed.turns(10)
    assert sent(fed)
    incoming.installation.abandon()
    fed.worker.feed(pinned(9))
    await fed.until_fed()
    versions = fed.pipe.versions()
    begin = versions.index((9, True, False))
    assert {version[0] for version in versions[:begin]} == {5}
    assert {version[0] for version in versions[begin:]} == {9}
    assert not any(version[2] for version in versions[:begin])


async def test_what_came_ahead_is_sent_anew_after_another_attempt_began(fed: Fed) -> None:
    first, second = Incoming(5), Incoming(5)
    fed.worker.feed_ahead(first.arriving[0])
    first.feed(len(first.slices) // 2)
    await fed.turns(10)
    first.installation.abandon()
    fed.worker.feed_ahead(second.arriving[0])
    second.feed(len(second.slices))
    assert second.installation.finish() == "installed"
    fed.worker.feed(second.serving.replica.pin())
    await fed.until_fed()
    versions = fed.pipe.versions()
    begin = len(versions) - versions[::-1].index((5, True, False)) - 1
    whole = [change for frame in fed.pipe.frames[begin:] for change in cast("Any", frame).changes]
    assert whole == list(second.source.changes())


async def test_a_worker_that_serves_something_is_not_fed_ahead(fed: Fed) -> None:
    fed.worker.feed(pinned(3))
    await fed.until_fed()
    incoming = Incoming(5)
    fed.worker.feed_ahead(incoming.arriving[0])
    incoming.feed(len(incoming.slices))
    await fed.turns(50)
    assert {version[0] for version in fed.pipe.versions()} == {3}


async def test_one_that_is_slow_is_sent_ahead_no_more_than_it_takes(fed: Fed) -> None:
    incoming = Incoming(5)
    fed.worker.pause_writing()
    fed.worker.feed_ahead(incoming.arriving[0])
    incoming.feed(len(incoming.slices))
    await fed.turns(50)
    assert not fed.pipe.frames
    assert incoming.installation.finish() == "installed"
    fed.worker.feed(incoming.serving.replica.pin())
    await fed.turns(50)
    assert not fed.pipe.frames
    fed.worker.resume_writing()
    await fed.until_fed()
    assert sent(fed) == list(incoming.source.changes())
