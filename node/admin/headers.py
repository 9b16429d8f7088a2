"""Headers of every answer: who answers, how long it took, and for which origin (cors.py)."""

import time
from contextvars import ContextVar

from aiohttp import web
from aiohttp.typedefs import Handler

from node.admin.access import Access
from node.admin.cors import cors_headers, preflight_headers
from node.admin.errors import allow_header
from node.admin.node_view import NodeView
from node.metrics.measures import Answers

_started: ContextVar[float] = ContextVar("started")
"""When this task's request was read, on the monotonic clock."""


@web.middleware
async def note_start(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note when the request was read, for X-Kong-Admin-Latency."""
    _started.set(time.monotonic())
    return await handler(request)


@web.middleware
async def answer_options(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer OPTIONS on every path that exists, from the methods it has (no handler does)."""
    error = request.match_info.http_exception
    if request.method != "OPTIONS" or not isinstance(error, web.HTTPMethodNotAllowed):
        return await handler(request)
    requested = request.headers.get("Access-Control-Request-Headers", "")
    headers = preflight_headers(allow_header(error.allowed_methods), requested)
    return web.Response(status=204, headers=headers)


class CommonHeaders:
    """Completes an answer just before its head is sent, event streams included."""

    def __init__(self, node: NodeView, access: Access | None, answers: Answers | None) -> None:
        """Without ``access``, pages of other origins can't read the answers: no CORS headers.
        ``answers`` counts them."""
        self._server = f"grapevine/{node.version}"
        self._access = access
        self._answers = answers

    async def complete(self, request: web.Request, response: web.StreamResponse) -> None:
        """Handler of aiohttp's on_response_prepare."""
        response.headers["Server"] = self._server
        elapsed = time.monotonic() - _started.get()
        response.headers["X-Kong-Admin-Latency"] = str(int(elapsed * 1000))
        if self._answers is not None:
            self._answers.observe(response.status, elapsed)
        if self._access is not None:
            origin = request.headers.get("Origin")
            response.headers.update(cors_headers(origin, self._access.gui_origins))
