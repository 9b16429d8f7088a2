"""The worker processes of a node: started, fed with changesets, replaced when they die, drained."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from node import channel, logs
from node.agent.gathering import Gathering
from node.agent.intake import Arriving
from node.agent.labelled import Labelled
from node.agent.limits import (
    WORKER_RESTART_BACKOFF_SECONDS,
    WORKER_SETTLED_SECONDS,
    WORKER_START_SECONDS,
)
from node.agent.serving import Serving
from node.agent.worker import Large, Owed, Worker
from node.channel import Change, Version
from node.plugins.counters import shared_memory
from node.proxy.settings import Listener, ProxySettings
from store.changeset import Changeset
from store.history import Reach
from store.version import GENESIS

log = logs.get("workers")

Sockets = list[list[socket.socket]]
"""Listening sockets by worker slot, then by listener."""


class WorkersFailed(Exception):
    """New workers didn't get ready; the old ones go on."""


class Workers:
    """Keeps one worker running per slot; besides, there may be old ones that finish.

    ``kept()`` is (fill, version) of the replica file while it can be vouched for.
    ``on_live(version)`` is called when every worker that can answer a request serves a version:
    those that were told to listen, until they end. An old one that finishes ends with its last
    connection, so one that hasn't ended may have some.
    """

    def __init__(
        self,
        template: ProxySettings,
        sockets: Sockets,
        serving: Serving,
        kept: Callable[[], tuple[bytes, Version] | None],
        on_live: Callable[[Version], None],
        memory: Callable[[int], int] = shared_memory,
    ) -> None:
        self._template = template
        self._sockets = sockets
        self._serving = serving
        self._kept = kept
        self._on_live = on_live
        self._gathering = Gathering(self._publish)
        self._slots: dict[int, Worker] = {}
        """The current worker of each slot."""
        self._running: set[Worker] = set()
        """All worker processes, those that finish included."""
        self._deaths_in_a_row: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = False
        self._stopping = False
        self._live: Version = GENESIS
        self._waiters: dict[asyncio.Future[Reach], Version] = {}
        self._history: tuple[int, ...] = ()
        """Epoch and tag when the waiters were looked at last."""
        self._arriving: Arriving | None = None
        """The state that came in last, or does, while nothing is held."""
        self._stats: dict[Worker, dict[str, int]] = {}
        self._ended: dict[str, int] = {}
        self._labelled = Labelled()
        self._counters_fd = memory(len(sockets))
        self.on_differs: Callable[[Worker, str], None] = lambda worker, _: self.feed_anew(worker)
        """Told when a worker holds something else than it was sent."""
        self.restarts = 0
        """Workers that ended without being told to."""
        self._log_level = ""
        """In force in place of the template's; empty: the template's is."""
        self.on_peeked: Callable[[channel.Peeked], None] = lambda peeked: None
        """Called with what a worker has cached, when it was asked."""
        self.on_ready: Callable[[Worker], None] = lambda worker: None
        """Told of each worker before it listens."""
        self.on_observed: Callable[[Worker, channel.Observed], None] = lambda *_: None
        """Told what came of requests to targets."""

    # What the node asks

    async def start(self) -> None:
        """Spawn a worker in every slot; they take up the state when there is one."""
        slots = range(len(self._sockets))
        workers = await asyncio.gather(*(self._spawn(slot) for slot in slots))
        self._slots = dict(enumerate(workers))

    async def replace(
        self, template: ProxySettings, sockets: Sockets, seconds: float | None
    ) -> None:
        """Put new workers on these sockets, then let the old ones finish within ``seconds``.

        Sockets that both have are never closed, so no connection queued on them is lost.
        Raises WorkersFailed.
        """
        before = self._template, self._sockets
        self._template, self._sockets = template, sockets
        fresh = await asyncio.gather(*(self._spawn(slot) for slot in range(len(sockets))))
        try:
            async with asyncio.timeout(WORKER_START_SECONDS):
                await asyncio.gather(*(worker.until_ready() for worker in fresh))
        except (TimeoutError, ConnectionError) as error:
            self._template, self._sockets = before
            for worker in fresh:
                worker.kill()
            raise WorkersFailed("new workers did not get ready; the old ones go on") from error
        old, self._slots = self._slots, dict(enumerate(fresh))
        for worker in old.values():
            worker.drain(seconds)

    def publish(self, version: Version, changes: tuple[Change, ...]) -> None:
        """Send one changeset to every worker that has the state before it, or is getting it; with
        others of the same turn of the loop, if there are."""
        self._gathering.add(version, changes)
        self._feed_empty_ones()
        self._note_live()

    def _publish(self, frame: bytes) -> None:
        for worker in self._running:
            worker.publish(frame)

    def publish_large(self, changeset: Changeset, total: int) -> None:
        """The same of a changeset with so many changes that each worker is sent it in slices."""
        self._gathering.flush()
        for worker in self._running:
            worker.publish(Large(changeset, total))
        self._feed_empty_ones()
        self._note_live()

    def _feed_empty_ones(self) -> None:
        """A node that held nothing may come to its first state by changesets: workers that were
        there before, with nothing to be fed, get it whole."""
        for worker in self._running:
            if worker.is_empty:
                self.feed_anew(worker)

    def audit(self, frame: channel.Audit) -> None:
        """Say what every worker must hold by now."""
        self._gathering.flush()
        self._publish(channel.encode(frame))

    def feed_anew(self, worker: Worker) -> None:
        """Send one worker the whole state, which it swaps in at once."""
        self._gathering.flush()
        state = self._serving.for_workers()
        if state is not None and worker in self._running:
            worker.feed(state)
            self._vouch(worker)

    def feed_ahead(self, arriving: Arriving) -> None:
        """Send what has come of a state to workers that serve nothing, while more comes in. They
        are sent the rest once it is held here (``publish_state``)."""
        self._arriving = arriving
        for worker in self._running:
            if worker.configured:
                worker.feed_ahead(arriving)

    def log_from(self, level: str) -> None:
        """Let every worker log from this level on, those that come later, too."""
        self._log_level = level
        self.say(channel.Level(level))

    def say(
        self,
        frame: channel.Purge | channel.Peek | channel.Level | channel.Judged | channel.Doubted,
    ) -> int:
        """Send something to every worker at once, whatever it is being fed; to how many."""
        self._gathering.flush()
        told = [worker for worker in self._running if worker.configured]
        encoded = channel.encode(frame)
        for worker in told:
            worker.send(encoded)
        return len(told)

    def vouch(self) -> None:
        """Tell every worker how far the replica file has come."""
        self._gathering.flush()
        for worker in self._running:
            self._vouch(worker)

    def publish_state(self) -> None:
        """Send the whole state to every worker, which swaps it in at once."""
        self._gathering.flush()
        state = self._serving.for_workers() or self._serving.replica.pin()
        self._arriving = None
        for worker in self._running:
            if worker.configured:
                worker.feed(state)
                self._vouch(worker)
        self._note_live()

    def listen(self) -> None:
        """The start rule is met: workers accept connections from now on. Without a state they serve
        an empty one, which a cluster without a database may begin with."""
        self._listening = True
        if not self._serving.loaded:
            self.publish_state()
        self._gathering.flush()
        for worker in self._slots.values():
            if worker.ready:
                worker.listen()

    async def until_ready(self) -> None:
        """Wait until the current workers serve what they were given, or have ended, for at most
        WORKER_START_SECONDS."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(WORKER_START_SECONDS):
                await asyncio.gather(*(worker.until_ready() for worker in self._slots.values()))

    @property
    def listening(self) -> bool:
        """Whether at least one worker accepts connections; without any slot, whether it might."""
        if not self._sockets:
            return self._listening
        # Old ones, too: what queues on the sockets meanwhile is for those that replace them.
        return any(worker.accepting for worker in self._running)

    def reach(self, version: Version) -> Reach:
        """How everything here that can answer a request stands towards a version: the workers that
        were told to listen and haven't ended, and the replica, by which alone a node without such a
        worker is judged."""
        held = self._serving.reach(version)
        if held == "reached" and self._serves() < version:
            # Both are of the history that is served, where order is descent.
            return "behind"
        return held

    async def until(self, version: Version, seconds: float) -> Reach:
        """Wait until ``reach`` is ``reached`` or ``forked``; ``behind`` when the time is over."""
        stands = self.reach(version)
        if stands != "behind":
            return stands
        waiter: asyncio.Future[Reach] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = version
        # Every write waits here: asyncio.timeout takes longer than all the rest of it.
        timer = asyncio.get_running_loop().call_later(seconds, self._give_up, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            del self._waiters[waiter]

    def _give_up(self, waiter: "asyncio.Future[Reach]") -> None:
        if not waiter.done():
            waiter.set_result(self.reach(self._waiters[waiter]))

    def pids(self) -> list[int]:
        """Process ids of the current workers."""
        return [worker.pid for worker in self._slots.values() if worker.pid is not None]

    def counters(self) -> dict[str, int]:
        """The workers' counters added up, those of workers that have ended included."""
        total = dict(self._ended)
        for stats in self._stats.values():
            for name, value in stats.items():
                total[name] = total.get(name, 0) + value
        return total

    def labelled(self) -> dict[str, int]:
        """The workers' counters of metrics with labels, added up likewise."""
        return self._labelled.total()

    def reopen_logs(self) -> None:
        """Pass a log rotation on."""
        for worker in self._running:
            if worker.ready:
                worker.signal(signal.SIGUSR1)

    async def drain(self, seconds: float | None) -> None:
        """Let every worker stop accepting, finish and exit; kill what is left after ``seconds``."""
        self._stopping = True
        for worker in self._running:
            worker.drain(seconds)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=None if seconds is None else seconds + 1.0)
        self.kill()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._counters_fd >= 0:
            os.close(self._counters_fd)
            self._counters_fd = -1

    def kill(self) -> None:
        """End every worker at once."""
        self._stopping = True
        for worker in self._running:
            worker.kill()

    # What happens to workers

    async def _spawn(self, slot: int) -> Worker:
        worker = Worker(slot, self)
        sockets = self._sockets[slot]
        listeners = tuple(
            Listener(bound.fileno(), *listener[1:])
            for bound, listener in zip(sockets, self._template.listeners, strict=True)
        )
        settings = self._template._replace(
            worker=slot,
            listeners=listeners,
            log_level=self._log_level or self._template.log_level,
            counters_fd=self._counters_fd,
        )
        self._running.add(worker)
        try:
            await worker.spawn(
                channel.Configure(settings._asdict()),
                [*(bound.fileno() for bound in sockets), self._counters_fd],
            )
        except BaseException:
            self._running.discard(worker)
            raise
        self._feed_first(worker)
        self._keep(worker.wait(self._exited))
        asyncio.get_running_loop().call_later(WORKER_START_SECONDS, self._check_start, worker)
        return worker

    def _feed_first(self, worker: Worker) -> None:
        """Send a new worker what there is: the state, or what has come of one so far."""
        self._gathering.flush()
        state = self._serving.for_workers()
        if state is None and self._listening:
            state = self._serving.replica.pin()
        if state is not None:
            worker.feed(state)
            self._vouch(worker)
        elif self._arriving is not None:
            worker.feed_ahead(self._arriving)

    def _vouch(self, worker: Worker) -> None:
        kept = self._kept()
        if kept is not None:
            worker.publish(channel.encode(channel.Kept(*kept)))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check_start(self, worker: Worker) -> None:
        if not worker.ready and self._serving.loaded and worker in self._running:
            log.error("worker did not get ready, killing it", worker=worker.slot, pid=worker.pid)
            worker.kill()

    def _exited(self, worker: Worker, code: int) -> None:
        self._running.discard(worker)
        self._labelled.ended(worker)
        for name, value in self._stats.pop(worker, {}).items():
            if name not in channel.GAUGES:
                self._ended[name] = self._ended.get(name, 0) + value
        current = self._slots.get(worker.slot) is worker
        if current:
            del self._slots[worker.slot]
        self._note_live()
        if not current or self._stopping:
            return
        self.restarts += 1
        pause = self._pause_after(worker)
        log.error(
            "worker ended, starting another",
            worker=worker.slot,
            pid=worker.pid,
            exit=code,
            pause=pause,
        )
        self._keep(self._respawn(worker.slot, pause))

    def _pause_after(self, worker: Worker) -> float:
        """The longer the more workers of this slot have died soon after their start."""
        settled = time.monotonic() - worker.started_at > WORKER_SETTLED_SECONDS
        deaths = 0 if settled else self._deaths_in_a_row.get(worker.slot, 0)
        self._deaths_in_a_row[worker.slot] = deaths + 1
        pauses = WORKER_RESTART_BACKOFF_SECONDS
        return pauses[min(deaths, len(pauses) - 1)]

    async def _respawn(self, slot: int, pause: float) -> None:
        await asyncio.sleep(pause)
        wanted = not self._stopping and slot not in self._slots and slot < len(self._sockets)
        if wanted:
            self._slots[slot] = await self._spawn(slot)

    # What workers say

    def worker_ready(self, worker: Worker) -> None:
        log.debug("worker ready", worker=worker.slot, pid=worker.pid)
        self.on_ready(worker)
        if self._listening and not self._stopping:
            self._gathering.flush()
            worker.listen()

    def worker_applied(self, worker: Worker, applied: channel.Applied) -> None:
        self._note_live()

    def worker_asks(self, worker: Worker, question: channel.Ask) -> None:
        self._gathering.flush()
        # Behind the state that it may be fed: an answer is of the history that is served.
        worker.publish(Owed(partial(self._serving.tell, question)))

    def worker_differs(self, worker: Worker, difference: channel.Differs) -> None:
        self.on_differs(worker, difference.what)

    def worker_peeked(self, worker: Worker, answer: channel.Peeked) -> None:
        self.on_peeked(answer)

    def worker_observed(self, worker: Worker, observed: channel.Observed) -> None:
        self.on_observed(worker, observed)

    def worker_stats(self, worker: Worker, counters: dict[str, int]) -> None:
        self._stats[worker] = counters

    def worker_labelled(self, worker: Worker, counters: dict[str, int]) -> None:
        self._labelled.update(worker, counters)

    def _serves(self) -> Version:
        serving = [worker.serves for worker in self._running if worker.listening]
        return min(serving, default=self._serving.version)

    def _note_live(self) -> None:
        live = self._serves()
        if live > self._live:
            self._live = live
            self._on_live(live)
        history = tuple(self._serving.version[:2])
        is_left, self._history = history != self._history, history
        for waiter, version in self._waiters.items():
            if (is_left or version <= live) and not waiter.done():
                stands = self.reach(version)
                if stands != "behind":
                    waiter.set_result(stands)
