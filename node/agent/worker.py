"""One worker slot: its process, its channel, and what it has applied."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

from node import channel, logs
from node.agent.limits import (
    CHANNEL_BACKLOG_BYTES_MAX,
    SLICE_SECONDS,
    SNAPSHOT_SLICE_BYTES,
    SNAPSHOT_SLICE_CHANGES,
)
from node.channel import Change, Version
from store.contents import PinnedState
from store.schema import cold_kinds
from store.version import GENESIS

log = logs.get("workers")


class Owner(Protocol):
    """What a worker tells its supervisor. Called from the event loop, synchronously."""

    def worker_ready(self, worker: "Worker") -> None: ...

    def worker_applied(self, worker: "Worker", applied: channel.Applied) -> None: ...

    def worker_asks(self, worker: "Worker", question: channel.Ask) -> None: ...

    def worker_differs(self, worker: "Worker", difference: channel.Differs) -> None: ...

    def worker_peeked(self, worker: "Worker", answer: channel.Peeked) -> None: ...

    def worker_observed(self, worker: "Worker", observed: channel.Observed) -> None: ...

    def worker_stats(self, worker: "Worker", counters: dict[str, int]) -> None: ...

    def worker_labelled(self, worker: "Worker", counters: dict[str, int]) -> None: ...


class Worker(asyncio.Protocol):
    """A worker process as the agent sees it, from spawn to exit.

    ``configured`` once it knows its settings, ``fed`` once it has been sent a whole state,
    ``ready`` once it serves that, ``listening`` once told to accept.
    """

    def __init__(self, slot: int, owner: Owner) -> None:
        self.slot = slot
        self.started_at = time.monotonic()
        self.applied: Version = GENESIS
        self.owed: Version | None = None
        """Version of the state that it is being sent, until it serves that: what it serves before
        may be of a history that was left."""
        self.configured = False
        self.ready = False
        self.listening = False
        self.fed = False
        self._owner = owner
        self._decoder = channel.Decoder()
        self._transport: asyncio.WriteTransport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._feeding: asyncio.Task[None] | None = None
        self._waiting: list[bytes] = []
        """Changesets for after the state that it is being fed, and their bytes."""
        self._waiting_bytes = 0
        self._got_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until_ready(self) -> None:
        """Wait until it serves the state it was sent. Raises ConnectionError when it ends first."""
        await asyncio.shield(self._got_ready)

    @property
    def serves(self) -> Version:
        """What it is sure to serve of the history that this node follows."""
        return self.applied if self.owed is None else GENESIS

    @property
    def pid(self) -> int | None:
        """Process id, or None before the spawn."""
        return self._process.pid if self._process else None

    async def spawn(self, configure: channel.Configure, descriptors: Sequence[int]) -> None:
        """Start the process with its inherited sockets and send its configuration."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "node.proxy.worker",
                "--channel-fd",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[*descriptors, theirs.fileno()],
            )
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_unix_connection(lambda: self, sock=ours)
        transport.write(channel.encode(configure))
        self.configured = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                self._received(frame)
        except channel.ChannelError as error:
            log.error("worker sent no frame", worker=self.slot, pid=self.pid, reason=str(error))
            self.kill()

    def _received(self, frame: channel.Frame) -> None:
        if isinstance(frame, channel.Applied):
            self.applied = frame.version
            if frame.version == self.owed:
                self.owed = None
            self._owner.worker_applied(self, frame)
        elif isinstance(frame, channel.Ready):
            self.ready = True
            if not self._got_ready.done():
                self._got_ready.set_result(None)
            self._owner.worker_ready(self)
        elif isinstance(frame, channel.Ask):
            self._owner.worker_asks(self, frame)
        elif isinstance(frame, channel.Differs):
            self._owner.worker_differs(self, frame)
        elif isinstance(frame, channel.Peeked):
            self._owner.worker_peeked(self, frame)
        elif isinstance(frame, channel.Observed):
            self._owner.worker_observed(self, frame)
        elif isinstance(frame, channel.Stats):
            self._owner.worker_stats(self, frame.counters)
        elif isinstance(frame, channel.Labelled):
            self._owner.worker_labelled(self, frame.counters)
        else:
            raise channel.ChannelError(f"a {type(frame).__name__} from a worker")

    def send(self, frame: bytes) -> None:
        """Queue one encoded frame; a worker that has stopped reading is killed."""
        if self._transport is None:
            return
        self._transport.write(frame)
        self._check_backlog(self._transport.get_write_buffer_size())

    def publish(self, frame: bytes) -> None:
        """Send one encoded changeset: at once, or after the state that it is being fed.

        Nothing to one that is neither fed nor being fed: the state will hold it.
        """
        if self._feeding is not None:
            self._waiting.append(frame)
            self._waiting_bytes += len(frame)
            self._check_backlog(self._waiting_bytes)
        elif self.fed:
            self.send(frame)

    def feed(self, state: PinnedState) -> None:
        """Send the whole state as fast as the worker takes it in, between requests.

        It takes the place of one that is under way.
        """
        self._stop_feeding()
        self.owed = state.head.version
        self._feeding = asyncio.get_running_loop().create_task(self._feed(state))

    async def _feed(self, state: PinnedState) -> None:
        version = state.head.version
        first = True
        try:
            for part in _slices(state):
                async with asyncio.timeout(SLICE_SECONDS):
                    await self._writable.wait()
                frame = channel.Snapshot(version, part, last=False, first=first)
                self.send(channel.encode(frame))
                first = False
                await asyncio.sleep(0)
        except TimeoutError:
            log.error("worker takes no state in, killing it", worker=self.slot, pid=self.pid)
            self.kill()
            return
        self.send(channel.encode(channel.Snapshot(version, (), last=True, first=first)))
        self.fed = True
        self._feeding = None
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for changeset in waiting:
            self.send(changeset)

    def _stop_feeding(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            self._feeding = None
        self._waiting, self._waiting_bytes = [], 0

    def _check_backlog(self, backlog: int) -> None:
        if backlog > CHANNEL_BACKLOG_BYTES_MAX:
            log.error("worker is stuck, killing it", worker=self.slot, backlog=backlog)
            self.kill()

    def listen(self) -> None:
        """Let the worker accept connections, behind the state that it may be fed: one that begins
        to answer has what the others have."""
        self.listening = True
        self.publish(channel.encode(channel.Listen()))

    def drain(self, seconds: float | None) -> None:
        """Let the worker finish and exit; ``seconds`` bounds it, None doesn't."""
        self.send(channel.encode(channel.Drain(seconds)))

    def kill(self) -> None:
        """End the process at once."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def wait(self, on_exit: Callable[["Worker", int], None]) -> None:
        """Wait for the process to end, then report its exit code (negative: a signal)."""
        assert self._process is not None
        code = await self._process.wait()
        self._stop_feeding()
        if not self._got_ready.done():
            self._got_ready.set_exception(ConnectionError(f"exit code {code} before it was ready"))
            self._got_ready.exception()  # told: whether anybody waits for it doesn't matter
        if self._transport is not None:
            self._transport.close()
        on_exit(self, code)


def _slices(state: PinnedState) -> Iterator[tuple[Change, ...]]:
    """The whole state in parts that a worker takes in without keeping its clients waiting."""
    part: list[Change] = []
    size = 0
    for change in state.changes(leave_out=cold_kinds()):
        part.append(change)
        size += len(change.entity or "")
        if len(part) >= SNAPSHOT_SLICE_CHANGES or size >= SNAPSHOT_SLICE_BYTES:
            yield tuple(part)
            part, size = [], 0
    yield tuple(part)
