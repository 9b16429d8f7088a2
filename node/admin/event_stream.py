"""``GET /cluster/events``: membership and revisions as server-sent events (HTML standard, 9.2).

Each event is named by its ``type`` and carries its dict as JSON. A client that reads too slowly
loses events (told by one of type ``dropped``) and, when it stops reading, its connection.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from aiohttp import web

from node import logs
from node.admin.errors import Refusal
from node.admin.limits import (
    EVENT_HEARTBEAT_SECONDS,
    EVENT_SUBSCRIBERS_MAX,
    EVENT_WRITE_SECONDS,
)
from node.admin.node_view import NodeView

log = logs.get("admin")

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
_HEARTBEAT = b": still here\n\n"


class EventStreams:
    """The open event streams of a node."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._open: set[asyncio.Task[Any]] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send events until the client leaves or the node stops."""
        if len(self._open) >= EVENT_SUBSCRIBERS_MAX:
            raise Refusal(
                503,
                f"{EVENT_SUBSCRIBERS_MAX} event streams are open already; close one",
                {"Retry-After": "5"},
            )
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        response = web.StreamResponse(headers=_HEADERS)
        try:
            await response.prepare(request)
            await self._relay(response)
        except (ConnectionError, TimeoutError):
            pass  # the client left, or stopped reading
        except Exception:
            # The head is sent, so no other answer can be; the client will connect again.
            log.exception("event stream failed")
        finally:
            self._open.discard(task)
        return response

    async def close(self, app: web.Application) -> None:
        """End every stream, so that the node can stop."""
        for task in self._open:
            task.cancel()

    async def _relay(self, response: web.StreamResponse) -> None:
        events = self._node.subscribe()
        upcoming = asyncio.ensure_future(anext(events))
        try:
            await _send(response.write(_HEARTBEAT))
            while True:
                # Not wait_for: its cancellation at each heartbeat would end the iterator.
                done, _ = await asyncio.wait({upcoming}, timeout=EVENT_HEARTBEAT_SECONDS)
                if not done:
                    await _send(response.write(_HEARTBEAT))
                    continue
                event = upcoming.result()
                upcoming = asyncio.ensure_future(anext(events))
                await _send(response.write(encode_event(event)))
        except StopAsyncIteration:
            return
        finally:
            await _finish(upcoming, events)


def encode_event(event: dict[str, Any]) -> bytes:
    """One event as it stands in the stream. JSON has no line breaks, so one data line is enough."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


async def _send(write: Awaitable[None]) -> None:
    async with asyncio.timeout(EVENT_WRITE_SECONDS):
        await write


async def _finish(upcoming: "asyncio.Future[Any]", events: AsyncIterator[Any]) -> None:
    """Stop waiting and let the iterator clean up."""
    upcoming.cancel()
    await asyncio.wait({upcoming})
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
