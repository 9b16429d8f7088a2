"""A client that sends exactly what a test says and reads what HTTP says."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.proxy.conftest import field

DEADLINE_SECONDS = 20.0


@dataclass(frozen=True)
class Response:
    """A response as it came."""

    status: int
    head: str
    body: bytes

    def field(self, name: str) -> str | None:
        return field(self.head, name)

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")


class Client:
    """One connection to a worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def send_slowly(self, data: bytes) -> None:
        """Byte by byte, each in a packet of its own."""
        for index in range(len(data)):
            self.writer.write(data[index : index + 1])
            await self.writer.drain()
            await asyncio.sleep(0)

    async def ask(self, data: bytes) -> Response:
        """Send a request and read its response."""
        self.send(data)
        return await self.response(data.startswith(b"HEAD"))

    async def get(self, target: str = "/", fields: str = "", host: str = "a.test") -> Response:
        """GET over HTTP/1.1; ``fields`` are whole lines."""
        request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"
        return await self.ask(request.encode("latin-1"))

    async def settled(self) -> None:
        """Wait until the worker has seen what other connections sent before: it answers a later
        request by itself."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.get("/", "Grapevine-Min-Revision: never\r\n")

    async def response(self, head_only: bool = False) -> Response:
        """Read one response."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(head.split(" ", 2)[1])
            if head_only or status < 200 or status in (204, 304):
                return Response(status, head, b"")
            if field(head, "Transfer-Encoding") == "chunked":
                body = b""
                while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
                    body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readexactly(2)
                return Response(status, head, body)
            length = field(head, "Content-Length")
            if length is None:
                return Response(status, head, await self.reader.read())
            return Response(status, head, await self.reader.readexactly(int(length)))

    async def closed(self) -> bytes:
        """Everything until the worker closes the connection."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def connected(
    port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, name: str | None = None
) -> AsyncIterator[Client]:
    """A connection to a worker."""
    reader, writer = await asyncio.open_connection(
        host, port, limit=2**20, ssl=tls, server_hostname=name
    )
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
