"""An HTTP client for the proxy that hides nothing: each connection, and how each request ended."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 10.0
HEAD_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body; the body is None unless it is JSON."""

    status: int
    body: Any
    keeps: bool
    """Whether the connection may be used again."""


class NoAnswer(Exception):
    """What happened instead, in words."""


class Connection:
    """One connection to a node's proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Raises NoAnswer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return cls(*await asyncio.open_connection(host, port, limit=HEAD_BYTES_MAX))
        except (OSError, TimeoutError) as error:
            raise NoAnswer(f"connect: {error!r}") from None

    async def get(self, path: str, headers: dict[str, str]) -> Answer:
        """Raises NoAnswer."""
        lines = [f"GET {path} HTTP/1.1", "Host: chaos.test"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._read()
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            raise NoAnswer(repr(error)) from None

    def close(self) -> None:
        self._writer.transport.abort()

    async def _read(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.lower().split("\r\n")
        fields = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(fields["content-length"]))
        is_json = fields.get("content-type", "").startswith("application/json")
        return Answer(
            int(status_line.split(" ")[1]),
            json.loads(body) if is_json else None,
            fields.get("connection") != "close",
        )
