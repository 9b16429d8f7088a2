"""``grapevine top``: the view of any cluster whose nodes can be asked. It changes nothing."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable

import aiohttp

from node.admin_client import TOKEN_HEADER, AdminClient
from node.top.book import Book
from node.top.collecting import Source, watch
from node.top.limits import DRAW_SECONDS, LINES_KEPT_MAX
from node.top.lines import Lines
from node.top.screen import ViewFailed, show
from node.top.snapshot import Key, Snapshot


def source_of(client: AdminClient) -> Source:
    """The node that a client asks."""
    scheme = "https" if client.tls else "http"
    headers = {} if client.token is None else {TOKEN_HEADER: client.token}
    return Source(str(client.address), f"{scheme}://{client.address}", headers, client.context())


async def run_top(clients: list[AdminClient], say: Callable[[str], None], *, live: bool) -> int:
    """Watch until ``q``, INT or TERM; answers the exit code. Without ``live`` lines are said."""
    loop = asyncio.get_running_loop()
    end: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not end.done():
            end.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, finish)
    sources = tuple(source_of(client) for client in clients)
    kept: deque[str] = deque(maxlen=LINES_KEPT_MAX)
    lines = Lines(kept.append if live else say)
    book = Book(tuple(source.name for source in sources))
    tasks: list[asyncio.Future[None]] = []

    def look() -> Snapshot:
        _all_go_on(tasks)
        return Snapshot(
            "grapevine top",
            time.strftime("%H:%M:%S UTC", time.gmtime()),
            book.sights(lines.arrivals, {}, {}),
            lines.latest,
            tuple(kept),
            (Key("q", "quit"),),
            notice=book.problem(),
        )

    async with aiohttp.ClientSession() as session:
        tasks += [
            asyncio.ensure_future(watch(session, sources, book, lines)),
            asyncio.ensure_future(_tick(lines, book, say if not live else kept.append)),
        ]
        try:
            if live:
                await show(look, lambda key: None, end)
            else:
                await asyncio.wait({end, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                _all_go_on(tasks)
        except ViewFailed as error:
            say(f"The view has failed ({error}); grapevine top --plain prints lines.")
            return 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    return 0


def _all_go_on(tasks: "list[asyncio.Future[None]]") -> None:
    """Raises what has ended one of them: what nobody asks for any more is no picture of now."""
    for task in tasks:
        if task.done():
            task.result()


async def _tick(lines: Lines, book: Book, write: Callable[[str], None]) -> None:
    told = ""
    while True:
        lines.tick(time.time())
        problem = book.problem()
        if problem not in ("", told):
            write(problem)
        told = problem
        await asyncio.sleep(DRAW_SECONDS)
