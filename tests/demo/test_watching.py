"""The demo goes on when its view doesn't."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from node.demo import watching
from node.demo.cluster import LocalCluster
from node.demo.watching import Watching
from node.top.screen import ViewFailed
from node.top.snapshot import Snapshot


async def test_a_view_that_fails_is_told_and_lines_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = LocalCluster(tmp_path, 2, 8000)
    said: list[str] = []
    titles: list[str] = []

    async def fail(
        look: Callable[[], Snapshot], press: Callable[[str], None], end: "asyncio.Future[None]"
    ) -> None:
        # What came while the view stood, which it took with it.
        watched.write("an event")
        titles.append(look().title)
        raise ViewFailed("ValueError: on purpose")

    monkeypatch.setattr(watching, "show", fail)
    watched = Watching(cluster, "a title", said.append)
    stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(watched.run(stop, live=True))
    async with asyncio.timeout(20):
        while len(said) < 2:
            await asyncio.sleep(0)
        assert said == [
            "The live view has failed (ValueError: on purpose); what happens, line by line:",
            "an event",
        ]
        assert titles == ["a title"]
        assert not running.done()
        watched.write("another event")
        assert said[2:] == ["another event"]
        stop.set_result(None)
        await running
    await cluster.session.close()
