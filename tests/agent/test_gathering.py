"""What is applied in one turn of the loop, on its way to the workers."""

import asyncio

import pytest

from node.agent.gathering import Gathering
from node.agent.limits import SNAPSHOT_SLICE_BYTES, SNAPSHOT_SLICE_CHANGES
from node.channel import Apply, Decoder, Frame


class Sent:
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._decoder = Decoder()
        self.gathering = Gathering(self._take)

    def _take(self, frame: bytes) -> None:
        self.frames += self._decoder.feed(frame)

    def add(self, *revisions: int, text: str = "{}") -> None:
        for revision in revisions:
            self.gathering.add((1, 7, revision), (("routes", f"r{revision}", text),))


@pytest.fixture
def sent() -> Sent:
    return Sent()


def applied(*revisions: int) -> Apply:
    changes = tuple(("routes", f"r{revision}", "{}") for revision in revisions)
    return Apply((1, 7, revisions[-1]), changes)


async def test_a_lone_changeset_goes_at_once(sent: Sent) -> None:
    sent.add(2)
    assert sent.frames == [applied(2)]
    await asyncio.sleep(0)
    sent.add(3)
    assert sent.frames == [applied(2), applied(3)]


async def test_those_that_follow_in_the_same_turn_go_together_at_its_end(sent: Sent) -> None:
    sent.add(2, 3, 4)
    assert sent.frames == [applied(2)]
    await asyncio.sleep(0)
    assert sent.frames == [applied(2), applied(3, 4)]
    await asyncio.sleep(0)
    assert len(sent.frames) == 2, "each once"


async def test_nothing_overtakes_what_waits(sent: Sent) -> None:
    sent.add(2, 3)
    sent.gathering.flush()
    assert sent.frames == [applied(2), applied(3)]
    sent.add(4)
    await asyncio.sleep(0)
    assert sent.frames[2:] == [applied(4)]


async def test_a_deletion_stands_behind_what_it_deletes(sent: Sent) -> None:
    sent.add(2, 3)
    sent.gathering.add((1, 7, 4), (("routes", "r3", None),))
    await asyncio.sleep(0)
    assert sent.frames[1:] == [Apply((1, 7, 4), (("routes", "r3", "{}"), ("routes", "r3", None)))]


@pytest.mark.parametrize("text", ["{}", "x" * (SNAPSHOT_SLICE_BYTES // 4)])
async def test_a_frame_keeps_a_worker_from_its_clients_for_a_moment_only(
    sent: Sent, text: str
) -> None:
    count = 3 * SNAPSHOT_SLICE_CHANGES
    sent.add(*range(count), text=text)
    await asyncio.sleep(0)
    frames = [frame for frame in sent.frames if isinstance(frame, Apply)]
    assert [id for frame in frames for _, id, _ in frame.changes] == [
        f"r{revision}" for revision in range(count)
    ]
    for frame in frames:
        assert len(frame.changes) <= SNAPSHOT_SLICE_CHANGES
        bytes_but_last = sum(len(text or "") for _, _, text in frame.changes[:-1])
        assert bytes_but_last < SNAPSHOT_SLICE_BYTES


async def test_an_empty_changeset_is_a_version_too(sent: Sent) -> None:
    sent.add(2)
    sent.gathering.add((1, 7, 3), ())
    await asyncio.sleep(0)
    assert sent.frames[1:] == [Apply((1, 7, 3), ())]
