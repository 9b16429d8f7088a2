"""The access log: in Kong's line format or as JSON, written in batches by a thread of its own.

The thread is there because a write to a slow disk or a full pipe blocks, and then no request may
wait for it. Lines that find too much waiting are dropped and counted.
"""

import contextlib
import os
import queue
import re
import threading
import time
from typing import NamedTuple

from node.proxy import limits
from node.proxy.heads import RequestHead
from node.proxy.stats import Stats

_DESCRIPTORS = {"/dev/stdout": 1, "/dev/stderr": 2}
_UNPRINTABLE = re.compile(rb'[^\x20-\x7e]|["\\]')


class Entry(NamedTuple):
    """One answered request. What a client may choose is escaped."""

    client: bytes
    request: bytes
    """The request line; ``-`` when there was none to speak of."""
    status: int
    bytes_sent: int
    """Of the body."""
    referer: bytes
    user_agent: bytes
    request_id: bytes


def entry_of(
    head: RequestHead, client: bytes, status: int, bytes_sent: int, request_id: bytes
) -> Entry:
    """The entry of a request whose head was understood."""
    remembered = head.remembered
    if "user_agent" not in remembered:
        remembered["referer"] = remembered["user_agent"] = b"-"
        for name, value in head.plain:
            if len(name) == 7 and name.lower() == b"referer":
                remembered["referer"] = escape(value)
            elif len(name) == 10 and name.lower() == b"user-agent":
                remembered["user_agent"] = escape(value)
    version = b"1.1" if head.version == 11 else b"1.0"
    line = escape(b"%b %b HTTP/%b" % (head.method, head.target, version))
    return Entry(
        client,
        line,
        status,
        bytes_sent,
        remembered["referer"],
        remembered["user_agent"],
        request_id,
    )


def escape(value: bytes) -> bytes:
    """Quotes, backslashes and all that isn't printable ASCII as ``\\xHH``, like nginx does it."""
    return _UNPRINTABLE.sub(lambda match: b"\\x%02X" % match[0][0], value) or b"-"


def format_line(entry: Entry, local_time: bytes) -> bytes:
    """nginx's combined format with Kong's request id at the end."""
    return b'%b - - [%b] "%b" %d %d "%b" "%b" kong_request_id: "%b"\n' % (
        entry.client,
        local_time,
        entry.request,
        entry.status,
        entry.bytes_sent,
        entry.referer,
        entry.user_agent,
        entry.request_id,
    )


def json_line(entry: Entry, local_time: bytes) -> bytes:
    """The same as a JSON object. What is escaped is printable but for ``\\xHH``, whose escape JSON
    writes as ``\\u00HH``: each stands for a byte."""
    client, request, status, sent, referer, agent, request_id = entry
    line = (
        b'{"time": "%b", "client": "%b", "request": "%b", "status": %d, "bytes_sent": %d, '
        b'"referer": "%b", "user_agent": "%b", "request_id": "%b"}\n'
    ) % (local_time, client, request, status, sent, referer, agent, request_id)
    return line.replace(b"\\x", b"\\u00")


FORMATS = {
    "kong": (format_line, "%d/%b/%Y:%H:%M:%S %z"),
    "json": (json_line, "%Y-%m-%dT%H:%M:%S%z"),
}
"""With how each writes the time."""


class AccessLog:
    """Takes entries on the loop's thread; ``off`` as a path makes it take none."""

    def __init__(self, path: str, stats: Stats, form: str = "kong") -> None:
        self._format, self._time_format = FORMATS[form]
        self.enabled = path != "off"
        self._path = path
        self._stats = stats
        self._lines: list[bytes] = []
        self._size = 0
        self._flushed_at = 0.0
        self._time_second = -1
        self._time_text = b""
        self._pending = 0
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[bytes | bool | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if self.enabled:
            self._descriptor = self._open()
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()

    def add(self, entry: Entry, wall_clock: float) -> None:
        """Take an entry; ``wall_clock`` is in Unix seconds."""
        second = int(wall_clock)
        if second != self._time_second:
            self._time_second = second
            self._time_text = time.strftime(self._time_format, time.localtime(second)).encode()
        line = self._format(entry, self._time_text)
        self._lines.append(line)
        self._size += len(line)
        if self._size >= limits.ACCESS_LOG_BATCH_BYTES:
            self.flush()

    def tick(self, now: float) -> None:
        """Called now and then: nothing waits longer than a second for its batch to fill."""
        if self._lines and now - self._flushed_at >= limits.ACCESS_LOG_FLUSH_SECONDS:
            self._flushed_at = now
            self.flush()

    def flush(self) -> None:
        """Hand what there is to the thread."""
        if not self._lines:
            return
        lines, self._lines, self._size = self._lines, [], 0
        batch = b"".join(lines)
        with self._lock:
            if self._pending + len(batch) > limits.ACCESS_LOG_PENDING_BYTES_MAX:
                self._stats.access_log_dropped += len(lines)
                return
            self._pending += len(batch)
        self._jobs.put(batch)

    def reopen(self) -> None:
        """Open the file by its name again, after a rotation."""
        self.flush()
        self._jobs.put(True)

    def close(self, seconds: float = limits.ACCESS_LOG_CLOSE_SECONDS) -> None:
        """Flush, and wait a bounded time for the disk."""
        if self._thread is None:
            return
        self.flush()
        self._jobs.put(None)
        self._thread.join(seconds)

    def _open(self) -> int:
        descriptor = _DESCRIPTORS.get(self._path)
        if descriptor is not None:
            return descriptor
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if isinstance(job, bool):
                with contextlib.suppress(OSError):  # the old file goes on being written
                    fresh = self._open()
                    if self._descriptor > 2:
                        os.close(self._descriptor)
                    self._descriptor = fresh
                continue
            self._write(job)
            with self._lock:
                self._pending -= len(job)

    def _write(self, batch: bytes) -> None:
        while batch:
            try:
                batch = batch[os.write(self._descriptor, batch) :]
            except OSError:
                self._stats.access_log_dropped += batch.count(b"\n")
                return
