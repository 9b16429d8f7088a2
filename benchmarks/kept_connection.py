"""HTTP/1.1 over one kept connection, with little work on the asker's side: it shares the machine
with what is measured."""

import asyncio
import json
from typing import Any, NamedTuple

from node.demo.ports import HOST

ANSWER_HEAD_BYTES_MAX = 16_384


class Answer(NamedTuple):
    """What came back."""

    status: int
    head: bytes
    """Status line and header lines, names in lower case."""
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class KeptConnection:
    """Opened by the first request to ``port`` of this machine; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: object = None) -> Answer:
        """Ask, with ``body`` as JSON, and read the answer. Raises OSError and EOFError when the
        connection ends, and ValueError for an answer without Content-Length."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                HOST, self._port, limit=ANSWER_HEAD_BYTES_MAX
            )
        payload = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n"
        if payload:
            head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + payload)
        answered = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(answered[9:12])
        if status == 204:
            return Answer(status, answered, b"")
        for line in answered.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return Answer(status, answered, await self._reader.readexactly(int(line[15:])))
        raise ValueError(f"an answer without Content-Length: {answered!r}")

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
