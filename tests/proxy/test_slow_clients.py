"""Clients that take their time, on a clock of the test's: when they are cut off, and how."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from node.proxy import limits
from node.proxy.downstream import Downstream
from node.proxy.error_log import ErrorLog
from node.proxy.gateway import Gateway
from tests.proxy.process import everything
from tests.proxy.test_certificates import settings_with
from tests.proxy.wire import Clock, Wire


class Slow:
    """One client, and the time."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.clock = Clock()
        gateway.loop = cast("asyncio.AbstractEventLoop", self.clock)
        self.wire = Wire()
        self.client = Downstream(gateway, gateway.settings.listeners[0])
        self.client.connection_made(self.wire)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.gateway.wheel.advance(self.clock.now)

    def drip(self, data: bytes, every: float) -> None:
        """Send a byte each so many seconds, as long as the worker takes them."""
        for index in range(len(data)):
            if self.wire.closed or self.wire.eof:
                return
            self.client.data_received(data[index : index + 1])
            self.wait(every)


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Slow]:
    settings = settings_with(tmp_path)._replace(replica_file=str(tmp_path / "none"))
    gateway = Gateway(settings, 10, ErrorLog(0), lambda frame: None)
    yield Slow(gateway)
    gateway.close()


def test_a_head_that_drips_is_cut_off_once_its_time_is_up(slow: Slow) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100
    started = slow.clock.now
    slow.drip(head, 1.0)
    assert slow.wire.written.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close\r\n" in slow.wire.written
    assert slow.clock.now - started <= limits.REQUEST_HEAD_SECONDS + 2
    slow.wait(limits.LINGER_SECONDS + 1)
    assert slow.wire.closed
    assert slow.gateway.stats.requests_timed_out == 1


def test_a_client_that_sends_nothing_is_closed_without_an_answer(slow: Slow) -> None:
    slow.wait(limits.REQUEST_HEAD_SECONDS - 1)
    assert not slow.wire.closed
    slow.wait(2)
    assert slow.wire.closed
    assert slow.wire.written == b""


def test_a_body_may_drip_but_not_stop(slow: Slow) -> None:
    """As nginx's client_body_timeout: between two reads, not for the whole."""
    slow.gateway.spawn = lambda work: work.close()  # type: ignore[method-assign]
    slow.gateway.table.apply((1, 0, 1), everything("http://127.0.0.1:1"))
    slow.client.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    slow.client.release()
    slow.drip(b"x" * 5, limits.REQUEST_BODY_SECONDS - 1)
    assert slow.wire.written == b""
    slow.wait(2)
    assert slow.wire.written.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_takes_nothing_is_aborted(slow: Slow) -> None:
    slow.wire.unsent = 1000
    slow.client.pause_writing()
    slow.wait(limits.SEND_SECONDS - 1)
    assert not slow.wire.closed
    slow.wait(2)
    assert slow.wire.closed


def test_a_client_that_takes_a_little_now_and_then_is_not_aborted(slow: Slow) -> None:
    """As nginx's send_timeout: between two writes that succeed."""
    slow.wire.unsent = 1000
    slow.client.pause_writing()
    for _ in range(5):
        slow.wire.unsent -= 1
        slow.wait(limits.SEND_SECONDS + 1)
        assert not slow.wire.closed
    slow.wait(limits.SEND_SECONDS + 1)
    assert slow.wire.closed
