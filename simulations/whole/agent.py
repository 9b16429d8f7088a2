"""The agent's part of one node's life: production's ``Serving`` and ``Workers`` on a virtual loop.

One worker. Its process and its channel are simulated (``worker``, ``pipe``); all that is decided
about them isn't.
"""

from typing import TYPE_CHECKING, Any, cast

from node import channel
from node.agent.worker import Worker
from node.agent.workers import Workers
from node.proxy.settings import ProxySettings
from simulations.authority.loop import ProcessLoop
from simulations.whole.pipe import Pipe
from simulations.whole.served import ServedReplica
from simulations.whole.worker import WorkerProcess
from store.contents import PinnedState
from store.replica import Applied
from store.schema import cold_kinds

if TYPE_CHECKING:
    from simulations.whole.node import WholeNode
    from simulations.whole.world import WholeWorld

_NO_SETTINGS: list[Any] = [0] * 18
_SETTINGS = ProxySettings(*_NO_SETTINGS)
"""A simulated worker needs none."""
_CODE_KILLED = -9
_NOTICE_SECONDS_MAX = 0.05
"""How long a worker goes on after its agent: it is told by its kernel, between two requests."""


class Slot(Worker):
    """A worker as its agent sees it."""

    def __init__(self, agent: "Agent", owner: "SimulatedWorkers") -> None:
        super().__init__(0, owner)
        # Of the real clock, which says nothing here: each death counts as soon after the start.
        self.started_at = float("inf")
        self._agent = agent
        self.down = Pipe(agent.world, lambda data: self.process.received(data))
        self.up = Pipe(agent.world, lambda data: agent.loop.run(self.data_received, data))
        self.process = WorkerProcess(agent.world, agent, self.up.write)
        agent.world.workers_now().append(self.process)
        slow = agent.world.rng.random()
        self.down.seconds = 0.000_05 if slow < 0.7 else agent.world.rng.uniform(0.0, 0.5)
        self.down.on_full = lambda full: agent.loop.run(self._flow, full)

    def begin(self) -> None:
        self.connection_made(cast("Any", self.down))
        self.down.write(channel.encode(channel.Configure({})))
        self.configured = True

    def kill(self) -> None:
        """The process ends, and its agent is told."""
        if not self.process.ended:
            self.end()
            self._agent.world.schedule(0.001, self._agent.worker_ended, self)

    def cut(self) -> None:
        """Nothing passes between the two any more."""
        self.down.close()
        self.up.close()

    def end(self) -> None:
        self.process.ended = True
        self.cut()

    def _flow(self, full: bool) -> None:
        (self.pause_writing if full else self.resume_writing)()


class SimulatedWorkers(Workers):
    """Production's, but for what starts a process."""

    def __init__(self, agent: "Agent") -> None:
        replica = agent.replica
        super().__init__(
            _SETTINGS, [[]], replica.serving, agent.kept, lambda version: None, lambda workers: -1
        )
        self._agent = agent

    async def _spawn(self, slot: int) -> Worker:
        worker = Slot(self._agent, self)
        self._running.add(worker)
        worker.begin()
        self._agent.slot = worker
        self._feed_first(worker)
        return worker

    def ended(self, worker: Worker) -> None:
        worker._stop_feeding()
        self._exited(worker, _CODE_KILLED)


class Agent:
    """One life's."""

    def __init__(self, world: "WholeWorld", node: "WholeNode", replica: ServedReplica) -> None:
        self.world = world
        self.node = node
        self.replica = replica
        self.loop: Any = ProcessLoop.on(world.clock)
        self.slot: Slot | None = None
        self.listening = False
        self._fill = b""
        """Of what is written to the file; empty until what is served was written anew."""
        self._writing = False
        self._dead = False
        image = replica.file.image
        if image.fill and image.head == replica.serving.head():
            self._fill = image.fill
        self.workers = SimulatedWorkers(self)
        replica.on_applied = self._applied
        replica.on_found = world.happened
        replica.on_replaced = self._replaced
        replica.on_mended = self._mended

    @property
    def lives(self) -> bool:
        return not self._dead

    @property
    def process(self) -> WorkerProcess | None:
        """The worker's process, while there is one."""
        return None if self.slot is None or self.slot.process.ended else self.slot.process

    def begin(self) -> None:
        self.loop.run(lambda: self.loop.create_task(self.workers.start()))

    def end(self, *, at_once: bool) -> None:
        """The agent is gone; so is its worker, ``at_once`` where the machine is, or else when it
        notices that its channel has ended."""
        self._dead = True
        self.loop.kill()
        if self.slot is None:
            return
        self.slot.cut()
        if at_once:
            self.slot.end()
        else:
            notices = self.world.rng.uniform(0.0, _NOTICE_SECONDS_MAX)
            self.world.schedule(notices, self.slot.end)

    def listen(self) -> None:
        """The start rule is met (``node.agent.following``)."""
        if not self.listening:
            self.listening = True
            self.loop.run(self.workers.listen)

    def kept(self) -> tuple[bytes, channel.Version] | None:
        """What the file can be vouched for."""
        image = self.replica.file.image
        if not self._fill or image.fill != self._fill or self.replica.file.damaged:
            return None
        return image.fill, image.head.version

    def worker_ended(self, worker: Slot) -> None:
        if not self._dead:
            self.loop.run(self.workers.ended, worker)

    def audit(self) -> None:
        """Say what the worker must hold by now (``node.agent.worker_audit``)."""
        pinned: PinnedState = self.replica.serving.replica.pin()
        rows = tuple(pinned.changes(leave_out=cold_kinds()))
        counts = pinned.counts(leave_out=cold_kinds())
        self.loop.run(self.workers.audit, channel.Audit(rows, counts))

    # What the replica tells

    def _applied(self, applied: Applied) -> None:
        changeset, body, total = applied
        self._write_soon()
        if applied.is_large:
            self.loop.run(self.workers.publish_large, changeset, total)
        else:
            self.loop.run(self.workers.publish, changeset.version, body.changes)

    def _replaced(self) -> None:
        self._fill = b""
        self._write_soon()
        self.loop.run(self.workers.publish_state)

    def _mended(self, version: channel.Version, changes: tuple[channel.Change, ...]) -> None:
        self._fill = b""
        self._write_soon()
        self.loop.run(self.workers.publish, version, changes)

    # The file

    def _write_soon(self) -> None:
        if not self._writing:
            self._writing = True
            self.world.schedule(self.node.write_seconds, self._write)

    def _write(self) -> None:
        self._writing = False
        node = self.node
        if self._dead:
            return
        if node.disk.identity.full or node.paused:
            if not node.paused:
                self.world.happened("replica_unwritten")
            self._write_soon()
            return
        if not self._fill:
            self._fill = self.world.rng.randbytes(16)
        self.replica.file.write(self._fill, self.replica.serving.replica.pin())
        self.loop.run(self.workers.vouch)
