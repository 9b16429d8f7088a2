"""A steady load on nodes' proxies that counts what fails."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from node.demo.ports import HOST

REQUEST_SECONDS_MAX = 10.0
PAUSE_SECONDS = 0.002
"""Between two requests of one client: a load, not a flood."""


class Load:
    """What came of the requests so far."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        """Status or kind of failure -> number of requests."""

    @property
    def failures(self) -> dict[str, int]:
        """Everything but 200."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "200"}


@contextlib.asynccontextmanager
async def load(ports: Sequence[int], path: str, clients: int = 2) -> AsyncIterator[Load]:
    """Ask for ``path`` on each port, with a new connection per request, until the block ends."""
    result = Load()
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(_client(port, path, result, stop))
        for port in ports
        for _ in range(clients)
    ]
    try:
        yield result
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def _client(port: int, path: str, result: Load, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                outcome = await _status(port, path)
        except (OSError, EOFError, TimeoutError) as error:
            outcome = type(error).__name__
        result.outcomes[outcome] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def _status(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        answer = await reader.read()
    finally:
        writer.close()
    if not answer.startswith(b"HTTP/1.1 "):
        raise EOFError("the connection ended before an answer")
    return answer[9:12].decode()
