"""Asking nodes what the view shows: every second each one, side by side, within bounds."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from node.logs import escape
from node.top import limits
from node.top.answers import Garbled, read_listing, read_numbers
from node.top.book import Book
from node.top.lines import Lines, parse_event

_STREAM = aiohttp.ClientTimeout(
    total=None, connect=limits.ASK_SECONDS_MAX, sock_read=limits.SILENCE_SECONDS_MAX
)

_FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)
"""Of a connection, or of HTTP on it: a line that is too long is of the second and not the first."""


@dataclass(frozen=True, slots=True)
class Source:
    """A node that is asked."""

    name: str
    url: str
    """Of its Admin API, without a path."""
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None


async def watch(
    session: aiohttp.ClientSession, sources: tuple[Source, ...], book: Book, lines: Lines
) -> None:
    """Ask, and listen to events, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for source in sources:
            tasks.create_task(ask_on(session, source, book))
            tasks.create_task(follow(session, source, book, lines))


async def ask_on(session: aiohttp.ClientSession, source: Source, book: Book) -> None:
    """Ask one node each second until cancelled."""
    while True:
        await ask(session, source, book)
        await asyncio.sleep(limits.POLL_SECONDS)


async def ask(session: aiohttp.ClientSession, source: Source, book: Book) -> None:
    """Ask one node once, and note what came of it."""
    try:
        async with asyncio.timeout(limits.ASK_SECONDS_MAX):
            listing = await _body(session, source, "/cluster", limits.ANSWER_BYTES_MAX)
            numbers = await _body(session, source, "/metrics", limits.METRICS_BYTES_MAX)
        book.answered(source.name, read_listing(listing), read_numbers(numbers), time.monotonic())
    except Garbled as error:
        book.failed(source.name, "garbage", str(error))
    except TimeoutError:
        book.failed(source.name, "no answer", f"none in {limits.ASK_SECONDS_MAX:g} s")
    except _FAILURES as error:
        book.failed(source.name, "no answer", escape(str(error) or type(error).__name__))


async def _body(session: aiohttp.ClientSession, source: Source, path: str, size_max: int) -> bytes:
    # A redirect isn't followed: it would take the token to whoever it names.
    async with session.get(
        source.url + path, headers=source.headers, ssl=source.tls or True, allow_redirects=False
    ) as response:
        if response.status != 200:
            raise Garbled(f"{path} is answered with {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > size_max:
                raise Garbled(f"{path} has more than {size_max} bytes")
        return bytes(body)


async def follow(session: aiohttp.ClientSession, source: Source, book: Book, lines: Lines) -> None:
    """Pass a node's events on until cancelled, connecting anew whenever its stream ends."""
    while True:
        # KeyError and TypeError: an event that lacks what such events have.
        with contextlib.suppress(*_FAILURES, KeyError, TypeError, Garbled):
            async with session.get(
                f"{source.url}/cluster/events",
                headers=source.headers,
                ssl=source.tls or True,
                allow_redirects=False,
                timeout=_STREAM,
                raise_for_status=True,
            ) as stream:
                async with asyncio.timeout(limits.ASK_SECONDS_MAX):
                    body = await _body(session, source, "/cluster", limits.ANSWER_BYTES_MAX)
                listing = read_listing(body)
                name = listing.members[0].name
                lines.node_is(name, running=True)
                for member in listing.members:
                    lines.member(member.id, member.name, member.status, name, time.time())
                async for line in stream.content:
                    if event := parse_event(line):
                        lines.event(name, event)
        lines.node_is(book.name_of(source.name), running=False)
        await asyncio.sleep(limits.RETRY_SECONDS)
