"""The Admin API's access log: nginx's combined format, written by a thread of its own.

The thread is there because the API shares its event loop with the node's gossip: no disk that
hangs and no pipe that nobody reads may stop that. It sleeps while there is nothing to write.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import lru_cache

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from node import logs
from node.admin.redaction import shown_target
from node.config.settings import Settings
from node.log_file import LogFile
from node.proxy.access_log import escape

log = logs.get("admin")

PENDING_BYTES_MAX = 1024 * 1024
"""Lines that wait for the disk; beyond it they are dropped and counted."""
GATHERING_SECONDS = 0.05
"""From one write to the next."""
CLOSE_SECONDS = 2.0
"""How long the last lines may take once the node stops."""
COMPONENT = "admin"
"""The part of the log that goes to admin_error_log."""


class AccessLog:
    """Takes lines on the event loop; ``off`` as a destination makes it take none."""

    def __init__(self, destination: str) -> None:
        self.enabled = destination != "off"
        self._destination = destination
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Open the file and start writing. Raises OSError naming the configuration key."""
        if not self.enabled:
            return
        try:
            file = LogFile(self._destination)
        except OSError as error:
            raise OSError(
                f"admin_access_log: {self._destination} can't be opened: {error.strerror}; name a "
                "file that can, or off"
            ) from error
        self._thread = threading.Thread(
            target=self._run, args=(file,), name="admin-access-log", daemon=True
        )
        self._thread.start()

    def add(self, line: bytes) -> None:
        """Take a line, its end included."""
        with self._lock:
            if self._thread is None or self._pending + len(line) > PENDING_BYTES_MAX:
                self._dropped += 1
                return
            self._pending += len(line)
        self._lines.put(line)

    def close(self) -> None:
        """Write what there is, waiting a bounded time for the disk."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._lines.put(None)
            thread.join(CLOSE_SECONDS)

    def _run(self, file: LogFile) -> None:
        while (line := self._lines.get()) is not None:
            lines = [line]
            with contextlib.suppress(queue.Empty):
                while (line := self._lines.get_nowait()) is not None:
                    lines.append(line)
            self._write(file, lines)
            if line is None:
                break
            # What comes meanwhile goes together: to wake this thread costs more than a line does.
            time.sleep(GATHERING_SECONDS)
        file.close()

    def _write(self, file: LogFile, lines: list[bytes]) -> None:
        batch = b"".join(lines)
        try:
            file.write(batch)
        except OSError:
            lost, told = len(lines), 0
        else:
            lost, told = 0, self._dropped
        with self._lock:
            self._pending -= len(batch)
            self._dropped += lost - told
        if told:
            log.warning("the Admin API's access log has lost lines", lines=told)


ACCESS_LOG = web.AppKey("access_log", AccessLog)


def keep_logs(settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    """Opens the Admin API's logs when its application starts and closes them when it ends."""

    async def keep(app: web.Application) -> AsyncIterator[None]:
        with contextlib.ExitStack() as stack:
            if settings.admin_error_log != settings.proxy_error_log:
                stack.enter_context(logs.apart(COMPONENT, settings.admin_error_log))
            app[ACCESS_LOG].open()
            yield
            await asyncio.to_thread(app[ACCESS_LOG].close)

    return keep


def request_logger(access_log: AccessLog | None) -> type[AbstractAccessLogger]:
    """What aiohttp calls after each answer, those to requests that were no HTTP included."""

    class RequestLogger(AbstractAccessLogger):
        @property
        def enabled(self) -> bool:
            return access_log is not None and access_log.enabled

        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            assert access_log is not None
            access_log.add(combined_line(request, response))

    return RequestLogger


def combined_line(request: web.BaseRequest, response: web.StreamResponse) -> bytes:
    """nginx's ``combined`` format; the size is that of the body, for a stream of all it took."""
    return b'%b - - [%b] "%b" %d %d "%b" "%b"\n' % (
        _escaped(request.remote or ""),
        _stamp(int(time.time())),
        _escaped(_request_line(request)),
        response.status,
        _size(request, response),
        _escaped(request.headers.get("Referer", "")),
        _escaped(request.headers.get("User-Agent", "")),
    )


@lru_cache(maxsize=1)
def _stamp(seconds: int) -> bytes:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(seconds)).encode()


def _request_line(request: web.BaseRequest) -> str:
    if request.method == "UNKNOWN":  # aiohttp's stand-in for a request that it couldn't read
        return ""
    version = request.version
    return f"{request.method} {shown_target(request)} HTTP/{version.major}.{version.minor}"


def _size(request: web.BaseRequest, response: web.StreamResponse) -> int:
    if request.method == "HEAD":
        return 0
    # aiohttp's body_length counts the head of the answer, too.
    fixed = response.content_length
    return response.body_length if fixed is None else fixed


def _escaped(text: str) -> bytes:
    return escape(text.encode(errors="surrogateescape"))
