"""aiohttp's server side within the bounds of limits.py."""

import asyncio
import logging
import time
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from node import logs
from node.admin.access_log import ACCESS_LOG, request_logger
from node.admin.answers import message as errors_in_json
from node.admin.errors import MESSAGE_BY_STATUS, UNEXPECTED
from node.admin.limits import (
    HEADER_FIELD_BYTES_MAX,
    KEEPALIVE_SECONDS,
    LINGERING_SECONDS,
    REQUEST_LINE_BYTES_MAX,
    SHUTDOWN_SECONDS,
)
from node.version import VERSION

log = logs.get("admin")


def create_runner(app: web.Application) -> web.AppRunner:
    """A runner for an application of app.py; its caller sets it up and gives it sites."""
    access_log = app.get(ACCESS_LOG)
    logger = _protocol_logger()
    return _Runner(
        app,
        access_log=logger if access_log else None,  # aiohttp's word for whether there is one
        access_log_class=request_logger(access_log),
        logger=logger,
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=LINGERING_SECONDS,
        max_line_size=REQUEST_LINE_BYTES_MAX,
        max_field_size=HEADER_FIELD_BYTES_MAX,
        auto_decompress=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )


class _Runner(web.AppRunner):
    """An application whose clients are told in JSON, too, when what they sent is no HTTP."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float, **options: Any) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout, **options)
        self._options = options

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()  # starts the application, too
        return _Server(made.request_handler, request_factory=made.request_factory, **self._options)


class _Server(web.Server):
    def __init__(self, handler: Any, *, request_factory: Any, **options: Any) -> None:
        super().__init__(handler, request_factory=request_factory, **options)
        self._options = options

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=asyncio.get_running_loop(), **self._options)


class _Protocol(web.RequestHandler):
    """aiohttp answers what it can't read, and its own faults, before there is an application."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The same log line and the same end of the connection, in Kong's shape."""
        super().handle_error(request, status, exc, message)
        text = UNEXPECTED if status >= 500 else MESSAGE_BY_STATUS.get(status, "Bad request")
        answer = errors_in_json(text, status, {"Server": f"grapevine/{VERSION}"})
        answer.force_close()
        return answer


class _ProtocolErrors(logging.Handler):
    """Takes what aiohttp logs: requests that are no HTTP (some at debug level), and its own faults.

    Anybody can cause the former at any rate, so they are told once a minute with their number.
    """

    def __init__(self) -> None:
        super().__init__()
        self._repeated = logs.Repeated()

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            held_back = self._repeated.admit("", time.monotonic())
            if held_back is not None:
                log.warning("not an HTTP request, answered 400", reason=error, held_back=held_back)
        elif record.levelno >= logging.ERROR:
            log.error("HTTP server failed", reason=record.getMessage(), error=repr(error))


def _protocol_logger() -> logging.Logger:
    logger = logging.Logger("grapevine.admin.http", logging.DEBUG)
    logger.addHandler(_ProtocolErrors())
    return logger
