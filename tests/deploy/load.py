"""Steady traffic through the balancer, and what became of each request."""

import asyncio
import hashlib
from collections import Counter
from types import TracebackType
from typing import Self

import aiohttp

BODY = bytes(range(256)) * 16
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30)


class Load:
    """Clients that ask, GET and POST in turn, as fast as they are answered, until the block ends.

    A request that is cut off counts as failed like one with a wrong answer. Each client keeps its
    connection unless each request is to have a ``fresh`` one, and rests for ``pause`` seconds after
    each answer.
    """

    def __init__(self, url: str, clients: int, *, fresh: bool = False, pause: float = 0.0) -> None:
        self.answered = 0
        self.failures: Counter[str] = Counter()
        self._fresh = fresh
        self._pause = pause
        self._url = url
        self._clients = clients
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        await asyncio.gather(*self._tasks)

    async def until_answered(self, more: int) -> None:
        """Wait until so many more requests have been answered or have failed."""
        goal = self.answered + self.failures.total() + more
        while self.answered + self.failures.total() < goal:
            await asyncio.sleep(0.01)

    async def _client(self) -> None:
        connector = aiohttp.TCPConnector(force_close=self._fresh)
        async with aiohttp.ClientSession(connector=connector, timeout=REQUEST_TIMEOUT) as session:
            while not self._ending:
                for method in ("GET", "POST"):
                    await self._ask(session, method)
                    if self._pause:
                        await asyncio.sleep(self._pause)

    async def _ask(self, session: aiohttp.ClientSession, method: str) -> None:
        path, body = ("/digest", BODY) if method == "POST" else ("/headers", None)
        try:
            async with session.request(method, self._url + path, data=body) as response:
                problem = f"status {response.status}" if response.status != 200 else ""
                answer = {} if problem else await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = repr(error)
        else:
            if not problem and body and answer["sha256"] != hashlib.sha256(body).hexdigest():
                problem = "a body was changed"
        if problem:
            self.failures[f"{method}: {problem}"] += 1
        else:
            self.answered += 1
