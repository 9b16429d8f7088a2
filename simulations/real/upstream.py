"""What the services lead to: answers what the entities that served a request have told it."""

import asyncio
import json
from typing import cast

HEAD_BYTES_MAX = 65_536
PARTS = ("x-part-a", "x-part-b")
"""Request headers that plugins of the document add."""


class Upstream(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and no body: enough for a proxy that is under test itself.

    Its answer is JSON: ``path`` that was asked for, and the headers named in ``PARTS``.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            self._transport.write(_answer(head.decode("latin-1")))
        if len(self._received) > HEAD_BYTES_MAX:
            self._transport.abort()


def _answer(head: str) -> bytes:
    request, *lines = head.split("\r\n")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
    }
    told = {name: fields[name] for name in PARTS if name in fields}
    body = json.dumps({"path": request.split(" ")[1], **told}).encode()
    kind = "Content-Type: application/json"
    return f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def serve(host: str, port: int) -> asyncio.Server:
    """Start it."""
    return await asyncio.get_running_loop().create_server(Upstream, host, port)
