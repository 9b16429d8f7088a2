"""Connections to upstreams: one protocol object each, and the pool of idle ones."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from node.proxy import limits
from node.proxy.deadlines import NEVER, NOWHERE, Wheel
from node.proxy.response import HeadReader
from node.proxy.stats import Stats
from node.proxy.upstream_tls import TlsTo

if TYPE_CHECKING:
    from node.proxy.fast_path import FastPath
    from node.proxy.passage import Passage


PoolKey = tuple[str, int, TlsTo | None]
"""Address, port, and how it is encrypted: connections with one key are interchangeable."""


class Upstream(asyncio.Protocol):
    """One connection to an upstream; at each moment idle, or serving one passage."""

    __slots__ = (
        "closed",
        "deadline",
        "full",
        "key",
        "passage",
        "paused",
        "pool",
        "reader",
        "send",
        "served",
        "transport",
        "turn",
    )

    def __init__(self, key: PoolKey, pool: "Pool") -> None:
        self.key = key
        self.pool = pool
        self.passage: Passage | FastPath | None = None
        self.reader = HeadReader()
        self.served = 0
        """Requests sent on it."""
        self.full = False
        """Its write buffer is above the high mark."""
        self.paused = False
        """It isn't read from."""
        self.closed = False
        self.deadline = NEVER
        self.turn = NOWHERE
        self.transport: asyncio.Transport
        self.send: Callable[[bytes], None]
        """The transport's ``write``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send = self.transport.write
        self.transport.set_write_buffer_limits(limits.WRITE_BUFFER_HIGH, limits.WRITE_BUFFER_LOW)

    def data_received(self, data: bytes) -> None:
        if self.passage is None:
            self.close()  # nothing was asked of it: whatever this is, it answers nobody
        else:
            self.passage.upstream_data(self, data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self.pool.forget(self)
        if self.passage is not None:
            self.passage.upstream_lost(self, error)

    def pause_writing(self) -> None:
        self.full = True
        if self.passage is not None:
            self.passage.upstream_full(self)

    def resume_writing(self) -> None:
        self.full = False
        if self.passage is not None:
            self.passage.upstream_drained(self)

    def pause_reading(self) -> None:
        """Stop reading; harmless on a connection that is closing."""
        if not self.paused:
            self.paused = True
            with contextlib.suppress(RuntimeError):
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.paused:
            self.paused = False
            with contextlib.suppress(RuntimeError):
                self.transport.resume_reading()

    def expire(self, now: float) -> None:
        if self.passage is not None:
            self.passage.upstream_expired(self)
        else:
            self.close()

    def close(self) -> None:
        """Drop the connection and whatever it still has to write."""
        self.closed = True
        self.passage = None
        self.pool.forget(self)
        self.transport.abort()


class Pool:
    """Idle connections: the last one put back is the first one taken, so that the rest can age."""

    def __init__(
        self, size: int, requests_max: int, idle_seconds: float, wheel: Wheel, stats: Stats
    ) -> None:
        self._size = size
        self._requests_max = requests_max
        self._idle_seconds = idle_seconds
        self._wheel = wheel
        self._stats = stats
        self._idle: dict[PoolKey, list[Upstream]] = {}

    def take(self, key: PoolKey) -> Upstream | None:
        """An idle connection, or None."""
        idle = self._idle.get(key)
        while idle:
            upstream = idle.pop()
            self._stats.connections_idle_upstream -= 1
            if not upstream.closed and not upstream.transport.is_closing():
                upstream.deadline = NEVER
                self._stats.upstream_reuses += 1
                return upstream
        return None

    def put(self, upstream: Upstream, now: float) -> None:
        """Keep a connection whose response has been read to its end, or close it."""
        upstream.passage = None
        upstream.deadline = NEVER
        key, stats, block = upstream.key, self._stats, upstream.reader.block
        idle = self._idle.get(key)
        if idle is None:
            idle = self._idle[key] = []
        if (
            upstream.closed
            or upstream.full
            or (key[2] is not None and _has_ended(key))
            or upstream.transport.is_closing()
            or len(idle) >= self._size
            or upstream.served >= self._requests_max > 0
            or stats.connections_idle_upstream >= limits.IDLE_UPSTREAMS_MAX
        ):
            upstream.close()
            return
        if len(block) > limits.KNOWN_HEAD_BYTES_MAX:
            upstream.reader.forget()  # it may be idle for long: nothing large is kept meanwhile
        idle.append(upstream)
        stats.connections_idle_upstream += 1
        if self._idle_seconds > 0:
            self._wheel.arm(upstream, now + self._idle_seconds)

    def forget(self, upstream: Upstream) -> None:
        """Let go of a connection that was lost or closed, whether it was idle or not."""
        self._wheel.disarm(upstream)
        idle = self._idle.get(upstream.key)
        if idle is None:
            return
        if upstream in idle:
            idle.remove(upstream)
            self._stats.connections_idle_upstream -= 1
        if not idle:
            del self._idle[upstream.key]

    def close_ended(self) -> None:
        """Close idle connections of identities that have ended."""
        for key in [key for key in self._idle if _has_ended(key)]:
            for upstream in list(self._idle[key]):
                upstream.close()

    def close(self) -> None:
        """Close all idle connections."""
        for idle in list(self._idle.values()):
            for upstream in list(idle):
                upstream.close()


def _has_ended(key: PoolKey) -> bool:
    return key[2] is not None and not key[2].identity.current
