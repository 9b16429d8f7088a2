"""A peer that doesn't take what is written to it, on real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from gossip import limits
from gossip.outgoing import CutOff, Outgoing

DEADLINE = 10.0
LARGE = bytes(32 * 1024 * 1024)
"""More than the kernels' buffers on both sides take."""

LOOPS = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
Loop = Callable[[], asyncio.AbstractEventLoop]


class Pair:
    """A stream to a peer that reads when it is told to."""

    def __init__(self) -> None:
        self.cut: list[CutOff] = []
        self.theirs: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def open(self) -> Outgoing:
        server = await asyncio.start_server(
            lambda *ends: self.theirs.append(ends), "127.0.0.1", 0, limit=2**16
        )
        _, self.writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        self.server = server
        return Outgoing(self.writer, asyncio.get_running_loop(), self.cut.append)

    async def close(self) -> None:
        """Leave no socket to the loop's end."""
        self.server.close()
        for writer in (self.writer, *[writer for _, writer in self.theirs]):
            if not writer.is_closing():
                writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def read(self, size: int) -> int:
        while not self.theirs:
            await asyncio.sleep(0.002)
        return len(await self.theirs[0][0].read(size))


async def chunks(pair: Pair, pause: float) -> AsyncIterator[int]:
    while True:
        yield await pair.read(2**20)
        await asyncio.sleep(pause)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAM_STALL_SECONDS", 0.2)


@LOOPS
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed here"])
def test_a_peer_that_takes_nothing_is_given_up(loop: Loop, closed: bool) -> None:
    async def stall() -> None:
        pair = Pair()
        outgoing = await pair.open()
        outgoing.write(LARGE)
        if closed:
            outgoing.close()
        assert outgoing.unsent > 0
        async with asyncio.timeout(DEADLINE):
            while not pair.cut:
                await asyncio.sleep(0.01)
        assert pair.cut == ["streams_stalled"]
        await asyncio.sleep(0)
        assert outgoing.unsent == 0, "its memory is free"
        await pair.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(stall())


@LOOPS
def test_a_peer_that_is_slow_but_goes_on_is_not_given_up(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAM_STALL_BYTES", 1)

    async def trickle() -> None:
        pair = Pair()
        outgoing = await pair.open()
        outgoing.write(LARGE)
        outgoing.close()
        taken = 0
        async with asyncio.timeout(60.0):
            async for size in chunks(pair, 0.01):
                taken += size
                if not size:
                    break
        assert taken == len(LARGE) + 4
        assert pair.cut == []
        await pair.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(trickle())


async def test_what_the_kernel_took_at_once_is_not_watched() -> None:
    pair = Pair()
    outgoing = await pair.open()
    outgoing.write(b"small")
    await asyncio.sleep(0)
    assert outgoing.unsent == 0
    assert outgoing._watch is None
    outgoing.abort()
    await pair.close()


async def test_more_than_the_bound_cuts_the_stream_off() -> None:
    pair = Pair()
    outgoing = await pair.open()
    outgoing.write(LARGE)
    outgoing.write(b"one more")
    assert pair.cut == ["streams_cut_off"]
    await pair.close()
