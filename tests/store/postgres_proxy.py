"""Stands between a client and Postgres, and does to a COMMIT what networks and crashes do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Literal

from store.postgres_address import PostgresAddress, PostgresHost

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""A simple query in Postgres' protocol: type, length, text."""


Fate = Literal["delivered", "lost", "delayed"]


class CommitProxy:
    """Forwards everything until a certain COMMIT; then cuts that connection before its answer.

    ``fate`` is the COMMIT's: the server gets it; or it is lost and the server sees the connection
    end; or it is on its way and the server still waits for it. ``then`` is called next.
    ``refuse``: whether new connections are turned away from then on.
    """

    def __init__(
        self,
        server: PostgresAddress,
        *,
        fate: Fate,
        refuse: bool = False,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._fate = fate
        self._refuse = refuse
        self._then = then
        self._wanted: set[int] = set()
        self._count = 0
        self._closed = False
        self._writers: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[None]] = set()

    def arm(self, *numbers: int, fate: Fate | None = None) -> None:
        """Which COMMITs it is, counted from now on and from 1; without numbers the next one."""
        self._fate = fate or self._fate
        self._wanted = set(numbers or (1,))
        self._count = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[PostgresAddress]:
        """The address at which clients reach the server through this."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        try:
            yield replace(self._server, hosts=(PostgresHost("127.0.0.1", port),))
        finally:
            listener.close()
            self._abort()
            await asyncio.gather(*self._serving)
            self._abort()  # what was opened meanwhile
            await asyncio.sleep(0)  # one turn of the loop, in which the sockets are closed

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        (host,) = self._server.hosts
        self._writers.append(answers)
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        with contextlib.suppress(OSError):
            if not self._closed:
                replies, upstream = await asyncio.open_connection(host.host, host.port)
                self._writers.append(upstream)
                replying = asyncio.create_task(_copy(replies, answers))
                await self._forward(client, upstream)
                replying.cancel()
                if self._fate != "delayed":
                    upstream.transport.abort()
        answers.transport.abort()

    async def _forward(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await client.read(65_536):
            self._count += COMMIT in data
            if COMMIT in data and self._count in self._wanted:
                self._closed = self._refuse
                if self._fate == "delivered":
                    server.write(data)
                    await server.drain()
                self._then()
                return
            server.write(data)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
    target.close()
