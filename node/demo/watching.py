"""Watching the demo's cluster: by the live view where there is a terminal, else line by line."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from node.demo.cluster import LocalCluster
from node.demo.controls import Controls
from node.top.book import Book
from node.top.collecting import Source, ask_on, follow
from node.top.limits import DRAW_SECONDS, LINES_KEPT_MAX
from node.top.lines import Lines
from node.top.screen import ViewFailed, show
from node.top.snapshot import Snapshot


class Watching:
    """What happens becomes lines: kept for the live view while it stands, else said at once."""

    def __init__(self, cluster: LocalCluster, title: str, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._title = title
        self._say = say
        self._kept: deque[str] | None = None
        self._lines = Lines(self.write)
        self._sources = tuple(Source(node.name, node.admin_url) for node in cluster.nodes)
        self._book = Book(tuple(source.name for source in self._sources), named=True)
        self._controls = Controls(cluster)
        self._asking: list[asyncio.Task[None]] = []

    async def run(self, stop: "asyncio.Future[None]", *, live: bool) -> None:
        """Watch until ``stop`` is done, which ``q`` in the live view does, too. A view that fails
        costs nothing but itself: lines follow."""
        tasks = [asyncio.ensure_future(self._tick())]
        for source in self._sources:
            following = follow(self._cluster.session, source, self._book, self._lines)
            tasks.append(asyncio.ensure_future(following))
        try:
            if live:
                await self._show(stop)
            await stop
        finally:
            await self._controls.close()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _show(self, stop: "asyncio.Future[None]") -> None:
        self._asking = asking = [
            asyncio.create_task(ask_on(self._cluster.session, source, self._book))
            for source in self._sources
        ]
        kept: deque[str] = deque(maxlen=LINES_KEPT_MAX)
        self._kept = kept
        try:
            await show(self._look, self._controls.press, stop)
        except ViewFailed as error:
            self._say(f"The live view has failed ({error}); what happens, line by line:")
            for line in kept:
                self._say(line)
        finally:
            self._kept = None
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)

    def _look(self) -> Snapshot:
        for task in self._asking:
            if task.done():
                task.result()  # raises: what nobody asks for any more is no picture of now
        ended = {
            node.name: f"exit code {node.process.returncode}"
            for node in self._cluster.nodes
            if node.process is not None and not node.running
        }
        return Snapshot(
            self._title,
            time.strftime("%H:%M:%S UTC", time.gmtime()),
            self._book.sights(self._lines.arrivals, self._controls.sides, ended),
            self._lines.latest,
            tuple(self._kept or ()),
            self._controls.keys(),
            self._controls.selected.name,
            self._controls.notice,
        )

    def write(self, line: str) -> None:
        """A line of what happens."""
        if self._kept is not None:
            self._kept.append(line)
        else:
            self._say(line)

    async def _tick(self) -> None:
        running = {node.name: True for node in self._cluster.nodes}
        while True:
            for node in self._cluster.nodes:
                if running[node.name] and not node.running:
                    assert node.process is not None
                    self.write(
                        f"{node.name} (pid {node.process.pid}) ended with exit code "
                        f"{node.process.returncode}; it starts again with:  "
                        f"grapevine run -c {node.conf}"
                    )
                running[node.name] = node.running
            self._lines.tick(time.time())
            await asyncio.sleep(DRAW_SECONDS)
