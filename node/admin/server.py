"""aiohttp's server side within the bounds of limits.py."""

import logging
import time

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from node import logs
from node.admin.access_log import ACCESS_LOG, request_logger
from node.admin.limits import (
    HEADER_FIELD_BYTES_MAX,
    KEEPALIVE_SECONDS,
    LINGERING_SECONDS,
    REQUEST_LINE_BYTES_MAX,
    SHUTDOWN_SECONDS,
)

log = logs.get("admin")


def create_runner(app: web.Application) -> web.AppRunner:
    """A runner for an application of app.py; its caller sets it up and gives it sites."""
    access_log = app.get(ACCESS_LOG)
    logger = _protocol_logger()
    return web.AppRunner(
        app,
        access_log=logger if access_log else None,  # aiohttp's word for whether there is one
        access_log_class=request_logger(access_log),
        handle_signals=False,
        logger=logger,
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=LINGERING_SECONDS,
        max_line_size=REQUEST_LINE_BYTES_MAX,
        max_field_size=HEADER_FIELD_BYTES_MAX,
        auto_decompress=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )


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
