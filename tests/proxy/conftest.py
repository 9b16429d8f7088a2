"""Fixtures of the proxy's tests: upstreams on loopback, written down byte by byte."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

Handler = Callable[["Origin", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Origin:
    """An upstream that does what its handler says, and remembers the heads it was sent."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.heads: list[str] = []
        self.connections = 0
        self.port = 0
        self._serving: set[asyncio.Task[None] | None] = set()
        """Else nothing would hold one that waits for what never comes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            await self._handler(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def head(self, reader: asyncio.StreamReader) -> str:
        """Read one request head."""
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(text)
        return text


@asynccontextmanager
async def origin(handler: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Origin]:
    """An upstream on a free port."""
    made = Origin(handler)
    server = await asyncio.start_server(made.serve, host, port, backlog=1024)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def answering(*responses: bytes, close: bool = False) -> Handler:
    """An upstream that answers each request of a connection with the next of these bytes."""

    async def handle(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for response in responses:
            await read_body(await made.head(reader), reader)
            writer.write(response)
            await writer.drain()
        if not close:
            await reader.read()

    return handle


def field(head: str, name: str) -> str | None:
    """The value of a field; None when it is missing."""
    match = re.search(rf"(?im)^{re.escape(name)}:[ \t]*(.*?)\r?$", head)
    return match[1] if match else None


async def echo_back(
    made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answers every request with its own head and body as the body; keeps the connection."""
    while True:
        head = await made.head(reader)
        payload = head.encode("latin-1") + await read_body(head, reader)
        writer.write(b"HTTP/1.1 200 OK\r\nServer: origin\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(payload), payload))
        await writer.drain()


async def read_body(head: str, reader: asyncio.StreamReader) -> bytes:
    """A request's body, by its framing."""
    if field(head, "Transfer-Encoding") is None:
        return await reader.readexactly(int(field(head, "Content-Length") or 0))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    assert await reader.readexactly(2) == b"\r\n"
    return body


@pytest.fixture
async def echo() -> AsyncIterator[Origin]:
    """An upstream that answers with what it was sent."""
    async with origin(echo_back) as made:
        yield made
