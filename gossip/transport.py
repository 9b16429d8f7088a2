"""The asyncio side of the core: one UDP socket and TCP streams on one port. Decides nothing.

After every input the core's effects are carried out, and one timer is set for its next deadline.
What can't be sent is counted, never raised: to the protocol it is a lost packet. All of it runs in
the event loop's thread; from the socket to ``on_event`` there is no task in between but the one
that reads asyncio-dgram's queue.
"""

import asyncio
import ipaddress
import math
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from gossip import limits
from gossip.address import Address, split_host_port
from gossip.core import Gossip
from gossip.counters import TRANSPORT_MEANINGS
from gossip.cuts import Cuts
from gossip.datagrams import Datagrams, open_datagrams
from gossip.effects import (
    CloseStream,
    Effect,
    Knock,
    Notify,
    OpenStream,
    PersistGeneration,
    PersistIncarnation,
    ResolveSeeds,
    SendDatagram,
    SendFrame,
)
from gossip.events import Event
from gossip.frames import Frames, TooLarge
from gossip.knocks import knock
from gossip.outgoing import CutOff, Outgoing
from gossip.sockets import Sockets, bind

_LATE_SECONDS = 0.1
"""A timer that fires so late says that this process stood still or was busy: what waits in the
sockets is read before anybody is judged."""
_DRAIN_TURNS_MAX = 2_000
_DRAIN_QUIET_TURNS = 3
"""A packet takes as many turns of the loop from the socket to the core."""
_READ_BYTES = 64 * 1024


class Transport:
    """Drives one Gossip on the running event loop.

    ``seeds`` are ``host:port`` texts; names are resolved each time the core asks. ``on_event``,
    ``persist_incarnation`` and ``persist_generation`` are called synchronously and must not block.
    After calling a method of the core, call ``flush``.
    """

    def __init__(
        self,
        gossip: Gossip,
        seeds: Sequence[str],
        on_event: Callable[[Event], None],
        persist_incarnation: Callable[[int], None],
        persist_generation: Callable[[int], None],
        cuts: Cuts | None = None,
    ) -> None:
        self._gossip = gossip
        self._seeds = [split_host_port(seed) for seed in seeds[: limits.SEEDS_MAX]]
        self._on_event = on_event
        self._persist_incarnation = persist_incarnation
        self._persist_generation = persist_generation
        self._cuts = cuts or Cuts()
        self._loop = asyncio.get_running_loop()
        self._datagrams: Datagrams | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: dict[int, Outgoing] = {}
        self._closing: list[Outgoing] = []
        """Closed here, but not everything has gone out."""
        self._stream_tasks: dict[int, asyncio.Task[None]] = {}
        self._leads_to: dict[int, Address] = {}
        """Streams opened here."""
        self._next_accepted = 1
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._flushing = False
        self._draining = False
        self.counters: dict[str, int] = dict.fromkeys(TRANSPORT_MEANINGS, 0)
        """What this side drops, by reason."""

    async def start(self, listen: Address | Sockets) -> None:
        """Bind (unless bound already) and begin. Raises OSError when the port is taken."""
        sockets = listen if isinstance(listen, Sockets) else bind(listen)
        self._datagrams = await open_datagrams(sockets.udp, self.counters)
        self._server = await asyncio.start_server(self._accepted, sock=sockets.tcp)
        self._spawn(self._read_datagrams(self._datagrams))
        self._gossip.start(self.now())
        self.flush()

    async def close(self) -> None:
        """Close all sockets and end all tasks. Doesn't leave: that is ``Gossip.leave``."""
        datagrams, self._datagrams = self._datagrams, None
        self._set_timer()
        if self._server is not None:
            self._server.close()
        if datagrams is not None:
            datagrams.close()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in (*self._writers.values(), *self._closing):
            writer.abort()
        self._writers.clear()
        self._closing.clear()
        self._server = None

    def now(self) -> float:
        """The time as the core is told it: the monotonic clock, seconds.

        Not the loop's: uvloop reads its own once a turn and in milliseconds, too coarse for round
        trips on one network.
        """
        return time.monotonic()

    def flush(self) -> None:
        """Carry out what the core asks for, and set the timer. May be called from ``on_event``.

        Before ``start`` and after ``close`` nothing is done.
        """
        if self._flushing or self._datagrams is None:
            return
        self._flushing = True
        try:
            while effects := self._gossip.effects():
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._flushing = False
        self._set_timer()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case SendDatagram():
                if self._datagrams is not None and not self._loses(effect.address):
                    self._datagrams.send(effect)
            case Notify(event):
                try:
                    self._on_event(event)
                except Exception as error:
                    self._report(f"on_event failed for {type(event).__name__}", error)
            case OpenStream():
                task = self._spawn(self._converse(effect))
                self._stream_tasks[effect.stream] = task
            case SendFrame(stream, frame):
                self._write(stream, frame)
            case CloseStream(stream):
                self._close_stream(stream)
            case Knock():
                self._spawn(self._knock(effect))
            case ResolveSeeds():
                self._spawn(self._resolve())
            case PersistIncarnation(value):
                self._persist_incarnation(value)
            case PersistGeneration(value):
                self._persist_generation(value)

    def _set_timer(self) -> None:
        if self._draining:
            return
        deadline = None if self._datagrams is None else self._gossip.next_deadline()
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = None
        if deadline is not None:
            # Rounded up to uvloop's milliseconds: a timer that fires early finds nothing to do.
            delay = math.ceil(max(0.0, deadline - self.now()) * 1000) / 1000
            self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        due, self._timer, self._timer_at = self._timer_at, None, None
        if due is not None and self.now() - due > _LATE_SECONDS:
            self._draining = True
            self._spawn(self._drain_and_advance())
            return
        self._gossip.advance(self.now())
        self.flush()

    async def _drain_and_advance(self) -> None:
        """Let the loop read what waits in the sockets, then do what is due: answers that came while
        this process stood still are no silence."""
        quiet = 0
        for _ in range(_DRAIN_TURNS_MAX):
            before = self._received()
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._received() == before else 0
            if quiet > _DRAIN_QUIET_TURNS:
                break
        self._draining = False
        self._gossip.advance(self.now())
        self.flush()

    def _received(self) -> int:
        return self._gossip.counters["datagrams_in"] + self._gossip.counters["frames_in"]

    async def _knock(self, effect: Knock) -> None:
        if self._loses(effect.address):
            await asyncio.sleep(limits.KNOCK_SECONDS_MAX)
            self._gossip.knocked(effect.knock, "silent", "silent", self.now())
            self.flush()
            return
        udp, tcp, answer = await knock(effect.address, effect.packet)
        if self._datagrams is None:
            return
        if answer is not None:
            self._gossip.datagram_received(answer, effect.address, self.now())
        self._gossip.knocked(effect.knock, udp, tcp, self.now())
        self.flush()

    async def _read_datagrams(self, datagrams: Datagrams) -> None:
        while (received := await datagrams.receive()) is not None:
            data, source = received
            if self._loses(source):
                continue
            try:
                self._gossip.datagram_received(data, source, self.now())
                self.flush()
            except Exception as error:
                # A defect, in the core or the replica: one packet must not end all reading.
                self._report("a packet could not be handled", error)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = sum(1 for s in self._writers if s % 2 and not self._gossip.stands(s))
        peer = writer.get_extra_info("peername")
        if accepted >= limits.STREAMS_ACCEPTED_MAX or not peer:
            self.counters["streams_turned_away"] += 1
            writer.transport.abort()
            return
        stream, self._next_accepted = self._next_accepted, self._next_accepted + 2
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._stream_tasks[stream] = task
        self._writers[stream] = self._outgoing(writer)
        self._gossip.stream_accepted(stream, peer[:2], self.now())
        self.flush()
        try:
            await self._read_frames(stream, reader, limits.REQUEST_FRAME_BYTES_MAX)
        except asyncio.CancelledError:
            # Only this object cancels it; and asyncio before 3.12 reports a handler that was
            # cancelled as one that failed.
            return

    async def _converse(self, effect: OpenStream) -> None:
        """Open a stream, send the first frame, and read until it ends. The core's deadline for the
        stream cancels this through CloseStream."""
        if self._loses(effect.address):
            await self._loop.create_future()
        try:
            reader, writer = await asyncio.open_connection(*effect.address)
        except OSError as error:
            self.counters["streams_unopened"] += 1
            self._ended(effect.stream, refused=isinstance(error, ConnectionRefusedError))
            return
        self._writers[effect.stream] = self._outgoing(writer)
        self._leads_to[effect.stream] = effect.address
        self._write(effect.stream, effect.frame)
        await self._read_frames(effect.stream, reader, limits.FRAME_BYTES_MAX)

    async def _read_frames(self, stream: int, reader: asyncio.StreamReader, size_max: int) -> None:
        frames, refused = Frames(size_max), False
        try:
            while stream in self._writers:
                # A sender that trickles bytes is cut off, whatever it has sent (slow loris). How
                # many frames it may send, and until when, the core knows.
                bounded = stream % 2 and not self._gossip.stands(stream)
                async with asyncio.timeout(limits.ACCEPTED_SECONDS_MAX if bounded else None):
                    while (frame := frames.next()) is None:
                        if not (data := await reader.read(_READ_BYTES)):
                            raise EOFError
                        frames.feed(data)
                if self._loses(self._leads_to.get(stream)):
                    continue
                self._gossip.frame_received(stream, frame, self.now())
                self.flush()
        except EOFError:
            refused = self._gossip.stands(stream)
        except TooLarge:
            self.counters["frames_oversized"] += 1
        except (OSError, TimeoutError) as error:
            refused = isinstance(error, ConnectionResetError)
        finally:
            self._ended(stream, refused=refused)

    def _loses(self, address: Address | None) -> bool:
        """Whether what goes to that address, or comes from it, is lost in a partition."""
        if address not in self._cuts:
            return False
        self.counters["losses_played"] += 1
        return True

    def _write(self, stream: int, frame: bytes) -> None:
        writer = self._writers.get(stream)
        if writer is None or self._loses(self._leads_to.get(stream)):
            return
        waiting = sum(one.unsent for one in (*self._writers.values(), *self._closing))
        if waiting + len(frame) > limits.STREAMS_BUFFER_BYTES_MAX:
            writer.give_up("streams_cut_off")
        else:
            writer.write(frame)

    def _outgoing(self, writer: asyncio.StreamWriter) -> Outgoing:
        return Outgoing(writer, self._loop, self._cut_off)

    def _cut_off(self, reason: CutOff) -> None:
        self.counters[reason] += 1

    def _close_stream(self, stream: int) -> None:
        """Close one at the core's wish, after what is written has gone out."""
        writer = self._writers.pop(stream, None)
        self._leads_to.pop(stream, None)
        task = self._stream_tasks.pop(stream, None)
        if writer is not None:
            self._close(writer)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _ended(self, stream: int, *, refused: bool) -> None:
        """One has ended on its own: tell the core, unless the core ended it."""
        self._stream_tasks.pop(stream, None)
        writer = self._writers.pop(stream, None)
        self._leads_to.pop(stream, None)
        if writer is not None:
            self._close(writer)
        if self._datagrams is not None:
            self._gossip.stream_closed(stream, self.now(), refused)
            self.flush()

    def _close(self, writer: Outgoing) -> None:
        writer.close()
        self._closing = [one for one in (*self._closing, writer) if one.unsent]

    async def _resolve(self) -> None:
        found: dict[Address, None] = {}
        for host, port in self._seeds:
            try:
                infos = await self._loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            except OSError:
                self.counters["seeds_unresolved"] += 1
                continue
            for *_, address in infos:
                found[str(ipaddress.ip_address(address[0])), port] = None
        self._gossip.seeds_resolved(list(found), self.now())
        self.flush()

    def _report(self, message: str, error: Exception) -> None:
        self.counters["errors"] += 1
        self._loop.call_exception_handler({"message": f"gossip: {message}", "exception": error})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
