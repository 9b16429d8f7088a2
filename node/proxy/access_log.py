"""The access log: in Kong's line format or as JSON, written in batches by a thread of its own.

A request costs an entry in a list; lines are made of a batch of them. The thread is there because a
write to a slow disk or a full pipe blocks, and then no request may wait for it. Lines that find too
much waiting are dropped and counted.
"""

import contextlib
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from node.proxy import limits
from node.proxy.heads import RequestHead
from node.proxy.stats import Stats

_DESCRIPTORS = {"/dev/stdout": 1, "/dev/stderr": 2}
_UNPRINTABLE = re.compile(rb'[^\x20-\x7e]|["\\]')


Entry = tuple[RequestHead | None, bytes, int, int, bytes, float]
"""One answered request: its head, if there was one to speak of; the client; the status; the bytes
of the body; the request's id; when it was, in the loop's seconds. (A plain tuple: a request makes
one.)"""


class Asked(NamedTuple):
    """What a line says of a request's head; escaped."""

    line: bytes
    """The request line."""
    tail: bytes
    """The line's end, which is the same for all requests that have the same fields."""


def escape(value: bytes) -> bytes:
    """Quotes, backslashes and all that isn't printable ASCII as ``\\xHH``, like nginx does it."""
    return _UNPRINTABLE.sub(lambda match: b"\\x%02X" % match[0][0], value) or b"-"


def asked(head: RequestHead | None) -> Asked:
    """What is told of a head."""
    if head is None:
        return Asked(b"-", _NO_TAIL)
    version = b"1.1" if head.version == 11 else b"1.0"
    line = escape(b"%b %b HTTP/%b" % (head.method, head.target, version))
    return Asked(line, head.remembered.log_tail or _tail_of(head))


def format_line(entry: Entry, told: Asked, local_time: bytes) -> bytes:
    """nginx's combined format with Kong's request id at the end. What a client may choose is
    escaped."""
    _, client, status, bytes_sent, request_id, _ = entry
    line, tail = told
    counts = b'" %d %d ' % (status, bytes_sent)
    parts = (client, b" - - [", local_time, b'] "', line, counts, tail, request_id, b'"\n')
    return b"".join(parts)  # to format is dear


_TAIL = b'"%b" "%b" kong_request_id: "'
_NO_TAIL = _TAIL % (b"-", b"-")


def _tail_of(head: RequestHead) -> bytes:
    referer = user_agent = b"-"
    for name, value in head.plain:
        if len(name) == 7 and name.lower() == b"referer":
            referer = escape(value)
        elif len(name) == 10 and name.lower() == b"user-agent":
            user_agent = escape(value)
    tail = head.remembered.log_tail = _TAIL % (referer, user_agent)
    return tail


def json_line(entry: Entry, told: Asked, local_time: bytes) -> bytes:
    """The same as a JSON object. What is escaped is printable but for ``\\xHH``, whose escape JSON
    writes as ``\\u00HH``: each stands for a byte."""
    _, client, status, bytes_sent, request_id, _ = entry
    line, tail = told
    _, referer, _, user_agent, _ = tail.split(b'"', 4)
    return (
        b'{"time": "%b", "client": "%b", "request": "%b", "status": %d, "bytes_sent": %d, '
        b'"referer": "%b", "user_agent": "%b", "request_id": "%b"}\n'
        % (local_time, client, line, status, bytes_sent, referer, user_agent, request_id)
    ).replace(b"\\x", b"\\u00")


FORMATS = {
    "kong": (format_line, "%d/%b/%Y:%H:%M:%S %z"),
    "json": (json_line, "%Y-%m-%dT%H:%M:%S%z"),
}
"""With how each writes the time."""


class AccessLog:
    """Takes entries on the loop's thread; ``off`` as a path makes it take none."""

    def __init__(
        self,
        path: str,
        stats: Stats,
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
        form: str = "kong",
    ) -> None:
        """``clock`` gives the seconds of entries, ``wall_clock`` Unix seconds."""
        self._format, self._time_format = FORMATS[form]
        self.enabled = path != "off"
        self._path = path
        self._stats = stats
        self._clock = clock
        self._wall_clock = wall_clock
        self.entries: list[Entry] = []
        """Those of which no line is made yet."""
        self._flushed_at = 0.0
        self._pending = 0
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[bytes | bool | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if self.enabled:
            self._descriptor = self._open()
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()

    def add(self, entry: Entry) -> None:
        """Take an entry."""
        self.entries.append(entry)
        if len(self.entries) >= limits.ACCESS_LOG_BATCH_ENTRIES:
            self.flush()

    def tick(self, now: float) -> None:
        """Called now and then: nothing waits longer than a second for its batch to fill."""
        if self.entries and now - self._flushed_at >= limits.ACCESS_LOG_FLUSH_SECONDS:
            self._flushed_at = now
            self.flush()

    def flush(self) -> None:
        """Hand what there is to the thread."""
        if not self.entries:
            return
        entries, self.entries = self.entries, []
        batch = b"".join(self._lines(entries))
        with self._lock:
            if self._pending + len(batch) > limits.ACCESS_LOG_PENDING_BYTES_MAX:
                self._stats.access_log_dropped += len(entries)
                return
            self._pending += len(batch)
        self._jobs.put(batch)

    def _lines(self, entries: Sequence[Entry]) -> list[bytes]:
        """One for each. Most of a batch have few heads between them, which connections repeat, and
        one second."""
        offset = self._wall_clock() - self._clock()
        form, lines, second, text = self._format, [], -1, b""
        told: dict[int, Asked] = {}
        """By the identity of heads, which the entries hold."""
        for entry in entries:
            at = int(entry[5] + offset)
            if at != second:
                second = at
                text = time.strftime(self._time_format, time.localtime(at)).encode()
            known = told.get(id(entry[0]))
            if known is None:
                known = told[id(entry[0])] = asked(entry[0])
            lines.append(form(entry, known, text))
        return lines

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
