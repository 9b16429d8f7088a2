"""Small files that follow what changes."""

import asyncio
import threading

import pytest

from node.agent.keeper import Keeper


async def test_finish_waits_until_the_newest_is_written_once_for_many_changes() -> None:
    writing, may_end = threading.Event(), threading.Event()
    content = 0
    written: list[int] = []

    def write() -> None:
        writing.set()
        assert may_end.wait(10)
        written.append(content)

    keeper = Keeper("the file", write)
    keeper.changed()
    while not writing.is_set():
        await asyncio.sleep(0)
    for _ in range(5):
        content += 1
        keeper.changed()
    may_end.set()
    await keeper.finish()
    assert written[-1] == 5
    assert len(written) == 2, "what changed while it wrote is written together"


async def test_finish_without_a_change_returns_at_once() -> None:
    await Keeper("the file", lambda: None).finish()


async def test_a_file_that_can_not_be_written_is_told_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def write() -> None:
        raise OSError("no space left")

    keeper = Keeper("the list of peers", write)
    keeper.changed()
    await keeper.finish()
    assert [record.message for record in caplog.records] == ["the list of peers can't be written"]
