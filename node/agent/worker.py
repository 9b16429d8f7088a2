"""One worker slot: its process, its channel, and what it has applied."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol, cast

from node import channel, logs
from node.agent.intake import Arriving
from node.agent.limits import (
    CHANNEL_BACKLOG_BYTES_MAX,
    LARGE_SECONDS,
    SLICE_SECONDS,
    SNAPSHOT_SLICE_BYTES,
    SNAPSHOT_SLICE_CHANGES,
)
from node.channel import Change, Version
from store.changeset import BodyReader, Changeset
from store.changeset import Change as StoredChange
from store.contents import PinnedState
from store.schema import cold_kinds
from store.version import GENESIS, Head

log = logs.get("workers")
OWED_BYTES = 256
"""What a question of a worker's takes that waits to be answered."""


class Large(NamedTuple):
    """A changeset that is sent in slices."""

    changeset: Changeset
    total: int
    """Its changes."""

    def hot_changes(self) -> Iterator[StoredChange]:
        """Those that workers hold, read as they are taken."""
        left_out = cold_kinds()
        for part in BodyReader(self.changeset.body).changes(
            SNAPSHOT_SLICE_CHANGES, SNAPSHOT_SLICE_BYTES
        ):
            yield from (change for change in part if change.kind not in left_out)


class Owed(NamedTuple):
    """A frame that the worker is to have whatever it is fed before, of what is served by then."""

    frame: Callable[[], channel.Frame]


class Ahead:
    """How far a worker was sent a state."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.sent: tuple[str, str] | None = None
        """Kind and id of the last entity; None before any."""
        self._begun = False

    def next_slice(self, part: tuple[Change, ...], *, last: bool = False) -> channel.Snapshot:
        """The slice with these entities, which is going to be sent now."""
        first, self._begun = not self._begun, True
        if part:
            self.sent = part[-1][0], part[-1][1]
        return channel.Snapshot(self.head.version, part, last=last, first=first)


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
    ``ready`` once it serves that, ``listening`` once told to accept, ``accepting`` once it does.
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
        self.accepting = False
        self.fed = False
        self._owner = owner
        self._decoder = channel.Decoder()
        self._transport: asyncio.WriteTransport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._feeding: asyncio.Task[None] | None = None
        self._waiting: deque[bytes | Large | Owed] = deque()
        """What is for after what it is being fed, and its bytes."""
        self._waiting_bytes = 0
        self._ahead: Ahead | None = None
        """How far it was sent a state that wasn't held here."""
        self._running_ahead: asyncio.Task[None] | None = None
        self._swapped: tuple[Version, asyncio.Future[None]] | None = None
        """The version that a large changeset leads to, and whether it is served."""
        self._got_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until_ready(self) -> None:
        """Wait until it serves the state it was sent. Raises ConnectionError when it ends first."""
        await asyncio.shield(self._got_ready)

    @property
    def serves(self) -> Version:
        """What it is sure to serve of the history that this node follows."""
        return self.applied if self.owed is None else GENESIS

    @property
    def is_empty(self) -> bool:
        """Whether it is ready to be fed, and wasn't fed anything yet that leads to a state."""
        return self.configured and not self.fed and self._feeding is None

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
            if self._swapped is not None and frame.version == self._swapped[0]:
                if not self._swapped[1].done():
                    self._swapped[1].set_result(None)
                self._swapped = None
            self._owner.worker_applied(self, frame)
        elif isinstance(frame, channel.Ready):
            self.ready = True
            if not self._got_ready.done():
                self._got_ready.set_result(None)
            self._owner.worker_ready(self)
        elif isinstance(frame, channel.Listening):
            self.accepting = True
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

    def publish(self, what: bytes | Large | Owed) -> None:
        """Send one encoded changeset, or a large one: at once, or after what it is being fed. A
        state that takes the place of that holds the changesets; what else waits follows it, too.

        Nothing to one that is neither fed nor being fed: the state will hold it.
        """
        if self._feeding is not None:
            self._waiting.append(what)
            self._waiting_bytes += _size(what)
            self._check_backlog(self._waiting_bytes)
        elif not self.fed:
            return
        elif not isinstance(what, Large):
            self.send(_encoded(what))
        else:
            self._waiting.append(what)
            self._waiting_bytes += _size(what)
            self._feeding = asyncio.get_running_loop().create_task(self._feed())

    def feed_ahead(self, arriving: Arriving) -> None:
        """Send what has come of a state that this node doesn't hold yet, as it comes, unless there
        is one to serve. ``feed`` goes on from there if it is that state."""
        if self.fed or self._feeding is not None:
            return
        self._stop_feeding()
        self._ahead = Ahead(arriving.head)
        self._running_ahead = asyncio.get_running_loop().create_task(
            self._run_ahead(arriving, self._ahead)
        )

    async def _run_ahead(self, arriving: Arriving, ahead: Ahead) -> None:
        with contextlib.suppress(TimeoutError):  # it may still be starting
            while not arriving.ended:
                come = arriving.pin().changes(leave_out=cold_kinds(), after=ahead.sent)
                # In one turn as much as it takes in: else it falls behind what comes.
                for part in _slices(come):
                    if part:
                        await self._send_slice(partial(ahead.next_slice, part))
                await arriving.more()

    def feed(self, state: PinnedState) -> None:
        """Send the whole state as fast as the worker takes it in, between requests.

        It takes the place of one that is under way.
        """
        self._stop_feeding()
        self.owed = state.head.version
        self._feeding = asyncio.get_running_loop().create_task(self._feed(state))

    async def _feed(self, state: PinnedState | None = None) -> None:
        """Send a state, if there is one, and what waits, as it takes it in."""
        try:
            if state is not None:
                await self._send_state(state)
            while self._waiting:
                what = self._waiting.popleft()
                self._waiting_bytes -= _size(what)
                if not isinstance(what, Large):
                    self.send(_encoded(what))
                else:
                    await self._send_large(what)
        except TimeoutError:
            log.error("worker takes no state in, killing it", worker=self.slot, pid=self.pid)
            self.kill()
            return
        self._feeding = None

    async def _send_state(self, state: PinnedState) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.head != state.head:
            ahead = Ahead(state.head)
        for part in _slices(state.changes(leave_out=cold_kinds(), after=ahead.sent)):
            await self._send_slice(partial(ahead.next_slice, part))
            await asyncio.sleep(0)
        self.send(channel.encode(ahead.next_slice((), last=True)))
        self.fed = True

    async def _send_large(self, large: Large) -> None:
        """Returns once it is served: what follows is to be applied to that."""
        version = large.changeset.version
        served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._swapped = version, served
        first = True
        for part in _slices(large.hot_changes()):
            await self._send_slice(
                partial(channel.Part, version, part, large.total, last=False, first=first)
            )
            await asyncio.sleep(0)
            first = False
        self.send(channel.encode(channel.Part(version, (), large.total, last=True, first=first)))
        async with asyncio.timeout(LARGE_SECONDS):
            await served

    async def _send_slice(self, make: Callable[[], channel.Frame]) -> None:
        """Send what ``make`` gives, once the worker takes something in."""
        async with asyncio.timeout(SLICE_SECONDS):
            await self._writable.wait()
        self.send(channel.encode(make()))

    def _stop_feeding(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            self._feeding = None
        if self._running_ahead is not None:
            self._running_ahead.cancel()
            self._running_ahead = None
        owed = [what for what in self._waiting if isinstance(what, Owed)]
        self._waiting = deque(owed)
        self._waiting_bytes = sum(map(_size, owed))
        self._swapped = None

    def _check_backlog(self, backlog: int) -> None:
        if backlog > CHANNEL_BACKLOG_BYTES_MAX:
            log.error("worker is stuck, killing it", worker=self.slot, backlog=backlog)
            self.kill()

    def listen(self) -> None:
        """Let the worker accept connections, behind the state that it may be fed: one that begins
        to answer has what the others have."""
        self.listening = True
        self.publish(Owed(channel.Listen))

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


def _size(what: bytes | Large | Owed) -> int:
    if isinstance(what, Large):
        return len(what.changeset.body)
    return len(what) if isinstance(what, bytes) else OWED_BYTES


def _encoded(what: bytes | Owed) -> bytes:
    return what if isinstance(what, bytes) else channel.encode(what.frame())


def _slices(changes: Iterable[StoredChange]) -> Iterator[tuple[Change, ...]]:
    """Changes in parts that a worker takes in without keeping its clients waiting."""
    part: list[StoredChange] = []
    size = 0
    for change in changes:
        part.append(change)
        size += len(change.entity or "")
        if len(part) >= SNAPSHOT_SLICE_CHANGES or size >= SNAPSHOT_SLICE_BYTES:
            yield tuple(part)
            part, size = [], 0
    yield tuple(part)
