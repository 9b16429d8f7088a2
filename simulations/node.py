"""A simulated node: a machine with a clock and a kernel, and on it the real protocol core.

The one file that knows the core's methods and effects: what ``gossip.transport`` does with asyncio
is done here with scheduled events.
"""

import math
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gossip.address import Address
from gossip.core import Gossip
from gossip.identity import Identity
from gossip.keyring import Keyring
from gossip.member import MemberView, Metadata
from gossip.messages.membership import Alive
from gossip.refusal import TcpOutcome, UdpOutcome
from simulations import facts
from simulations.application import Application
from simulations.authority import EMPTY, SimulatedReplica
from simulations.connection import Connection
from simulations.disk import Disk, File, StoredIdentity
from simulations.machine import KERNEL_BUFFER_PACKETS, Machine, Unread
from simulations.performer import Performer
from simulations.software import FIRST

if TYPE_CHECKING:
    from simulations.world import World

_WAKES_PER_INSTANT_MAX = 100
"""More timer events of one node without time passing are a loop in the core."""


CLUSTER = "simulated"


class Node(Machine):
    """One node. Its id, address and disk outlive the process; its core doesn't."""

    def __init__(
        self, world: "World", index: int, disk: Disk | None = None, cluster: str = CLUSTER
    ) -> None:
        if disk is None:
            disk = Disk(File(StoredIdentity(new_id(index, world.rng), 0)), File(None))
            disk.replica = world.new_replica()
        super().__init__(world, index, disk)
        self.id = disk.identity.stored.node_id
        self.name = f"node-{index}"
        """What its configuration calls it."""
        self.called = self.called_before = self.name
        """What it goes by now, and what its process before went by at its end."""
        self.cluster = cluster
        self.installed = self.software = FIRST
        """What the next process will run, and what the one that runs, or ran last, does."""
        self.ended_at = 0.0
        """When its last process ended, by the world's time."""
        self.configured = world.keyring
        """The keyring that its configuration names."""
        self.generation = disk.identity.stored.generation
        """Of the life that runs, or ran last."""
        self.incarnation = 1
        self.life = 0
        """Counts its processes, whatever their generations."""
        self.tag = 0
        """Of the process that runs, or ran last."""
        self.running = False
        self.left = False
        """Whether it has left in this life, or is about to."""
        self.reads_table = False
        """Whether what it reports comes from a frame of a stream."""
        self.lies = False
        """Whether what it says is to be believed by nobody (``simulations.whole.insider``)."""
        self.retired = False
        """Whether it never starts again."""
        self.highest = EMPTY.version
        """The highest version that its replica has held."""
        self._stood_still: list[tuple[float, float]] = []
        """(until when, how long) it stood still so that it had to notice, by its own clock."""
        self._core: Gossip | None = None
        self._performer = Performer(world, self)
        self.application = Application(world, self)
        self._next_accepted = 1
        self._wake_at: float | None = None
        self._woken_at = -1.0
        self._wakes = 0
        self._unread: Unread | None = None

    @property
    def core(self) -> Gossip:
        """The protocol core of this life. Fails before the first one."""
        assert self._core is not None, f"node {self.index} was never started"
        return self._core

    @property
    def replica(self) -> SimulatedReplica:
        return self.disk.replica

    @replica.setter
    def replica(self, replica: SimulatedReplica) -> None:
        self.disk.replica = replica

    @property
    def keyring(self) -> Keyring | None:
        """The one that it has stored; None before the first change."""
        self.disk.keyring.settle(self._world.now)
        return self.disk.keyring.stored

    @property
    def is_stranger(self) -> bool:
        return self.cluster != CLUSTER

    @property
    def paused(self) -> bool:
        return self._unread is not None

    def is_idle(self, life: int) -> bool:
        """Whether the process of that life does nothing now: it has ended, or stands still."""
        return not self.running or self.life != life or self.paused or self.left

    def awake_since(self, since: float) -> float:
        """Seconds by its own clock, without those that it must know it stood still for."""
        return self.now() - since - sum(late for end, late in self._stood_still if end > since)

    # The process

    def start(self, node_id: str = "") -> None:
        """Begin a new life, with the next generation, stored before the first packet leaves.
        ``node_id`` makes it another node.

        Raises Damaged when the disk doesn't say who it is, and DiskFull.
        """
        assert not self.running, f"node {self.index} runs already"
        world, disk = self._world, self.disk
        stored = StoredIdentity(node_id, 0) if node_id else disk.identity.read()
        begun = StoredIdentity(stored.node_id, stored.generation + 1)
        disk.identity.store(begun)
        self.id, self.generation, self.incarnation = begun
        self.power = self.running = True
        self.left = False
        self.called_before, self.called = self.called, self.name
        self.software = self.installed
        self.life += 1
        rng = random.Random(world.rng.getrandbits(64))
        self.tag = rng.getrandbits(64)
        identity = Identity(self.id, self.generation, self.tag)
        self._core = Gossip(
            identity, self._metadata(), self.address, self.cluster, world.profile, self.replica,
            rng, self.now(), incarnation=1, keyring=self._kept_keyring(),
            versions=self.software.versions,
        )  # fmt: skip
        world.record(facts.START, self.index, b"%d" % self.generation)
        world.checks.lives(self)
        self._core.start(self.now())
        self.application.begun()
        self._performer.recall_peers()
        self._performer.recall_registers()
        self.flush()

    def new_id(self) -> str:
        """A node id that nobody has had."""
        return new_id(self.index, self._world.rng)

    def crash(self) -> None:
        """The process ends at once, as by kill -9: its kernel closes the sockets."""
        self._end(facts.CRASH)
        self._performer.close_all()

    def silence(self, unsynced: int = 0) -> None:
        """The machine loses its power: nobody is told. The last ``unsynced`` changesets were not on
        the disk yet."""
        self._end(facts.SILENCE)
        self.power = False
        self._performer.streams.clear()
        if unsynced:
            self.replica.forget(unsynced)
            self.highest = self.replica.head()[0]

    def leave(self) -> None:
        """Begin to leave; the process ends when that is spread."""
        self.left = True
        self._world.checks.leaves(self)
        self.core.leave(self.now())
        self.flush()

    def pause(self, kernel_buffer: int = KERNEL_BUFFER_PACKETS) -> None:
        """Stop the process as by SIGSTOP; its kernel keeps so many packets for it."""
        assert self.running, f"node {self.index} doesn't run"
        if self._unread is None:
            self._world.record(facts.PAUSE, self.index, b"")
            self._unread = Unread(kernel_buffer)

    def resume(self) -> None:
        """Let it go on: it finds its timers due and its packets unread, and reads those first, as
        ``gossip.transport`` does."""
        unread, self._unread = self._unread, None
        if unread is None or not self.running:
            return
        self._world.record(facts.RESUME, self.index, b"")
        life = self.life
        if unread.lost:
            self._world.happened("buffer_overflowed")
        for receive, arguments in unread.drain():
            if self.life == life and self.running:
                receive(*arguments)
        if self.life == life and self.running:
            late = self.now() - (self.core.next_deadline() or math.inf)
            if late > self._world.profile.probe_timeout:
                self._stood_still.append((self.now(), late))
            self._advance_if_due()
            self.flush()

    # The disk and the network card

    def erase(self) -> None:
        """Lose the replica while it doesn't run."""
        assert not self.running, f"node {self.index} runs"
        self.replica = self._world.new_replica()
        self.highest = EMPTY.version

    def restore(self, disk: Disk) -> None:
        """Put an older disk in while it doesn't run."""
        assert not self.running, f"node {self.index} runs"
        self.disk = disk.snapshot(self._world.now)
        self.highest = self.replica.head()[0]

    # Worlds that begin with a formed cluster

    def claim(self) -> Alive:
        """That it is alive, as it says it at its start."""
        me = self.core.members(self.now())[0]
        return Alive(
            self.id, self.generation, self.tag, me.incarnation, me.address, self._metadata()
        )

    def acquaint(self, others: Iterable[Alive]) -> None:
        """Let it know these as if it had for long."""
        self.core.acquaint(others, self.now())

    # What it knows

    def members(self) -> list[MemberView]:
        return self.core.members(self.now())

    @property
    def health_score(self) -> int:
        return self.core.health_score()

    def alive_seen(self) -> list[tuple[str, int]]:
        """(node id, generation) of all members that it holds for alive, sorted."""
        return sorted((m.id, m.generation) for m in self.members() if m.status == "alive")

    def status_of(self, other: "Node") -> str | None:
        """What it holds another node for; None when it isn't listed."""
        member = self.core.member(other.id, self.now())
        return None if member is None else member.status

    # Inputs from the network

    def datagram_received(self, data: bytes, source: Address) -> None:
        if not self.running:
            return
        if self._unread is not None:
            self._unread.packet(self.datagram_received, data, source)
            return
        self._world.record(facts.DATAGRAM, self.index, data)
        before = self.core.counters["claims_stale"]
        data = self.software.incoming(data)
        verdicts = self._world.checks.told(self, data)
        self.core.datagram_received(data, source, self.now())
        if self.core.counters["claims_stale"] > before:
            self._world.checks.refused(self, self._world.at_address(source))
        self._world.checks.read(self, verdicts)
        self.flush()

    def stream_offered(self) -> int:
        """Its name for the next stream that is opened to it."""
        stream, self._next_accepted = self._next_accepted, self._next_accepted + 2
        return stream

    def stream_accepted(self, stream: int, connection: Connection, source: Address) -> None:
        if self._defer(self.stream_accepted, stream, connection, source):
            return
        self._world.record(facts.ACCEPTED, self.index, b"%d" % stream)
        self._performer.streams[stream] = connection
        self.core.stream_accepted(stream, source, self.now())
        self.flush()

    def frame_received(self, stream: int, frame: bytes) -> None:
        if self._defer(self.frame_received, stream, frame):
            return
        connection = self._performer.streams.get(stream)
        if connection is None:
            return
        self._world.record(facts.FRAME, self.index, frame)
        counters = self.core.counters
        frame = self.software.incoming(frame)
        verdicts = self._world.checks.told(self, frame)
        stale, dropped = counters["claims_stale"], counters["dropped_stream"]
        self.core.frame_received(stream, frame, self.now())
        if counters["claims_stale"] > stale:
            self._world.checks.refused(self, connection.far_end(self))
        if counters["dropped_stream"] == dropped:
            self._world.checks.read(self, verdicts)
        self.reads_table = True
        self.flush()
        self.reads_table = False

    def stream_closed(self, stream: int, *, refused: bool) -> None:
        """A stream ended; ``refused`` when a kernel said that nobody is there (any more)."""
        if self._defer(self._stream_closed, stream, refused):
            return
        self._stream_closed(stream, refused)

    def _stream_closed(self, stream: int, refused: bool) -> None:
        if self._performer.streams.pop(stream, None) is not None:
            refused = refused or self.core.stands(stream)
            self._world.record(facts.CLOSED, self.index, b"%d %d" % (stream, refused))
            self.core.stream_closed(stream, self.now(), refused)
            self.flush()

    def knocked(self, knock: int, udp: UdpOutcome, tcp: TcpOutcome) -> None:
        """What came of a knock."""
        if self._defer(self.knocked, knock, udp, tcp):
            return
        self._world.record(facts.KNOCKED, self.index, f"{knock} {udp} {tcp}".encode())
        self.core.knocked(knock, udp, tcp, self.now())
        self.flush()

    # Effects and timers

    def flush(self) -> None:
        """Carry out the core's effects and schedule its next deadline."""
        core = self.core
        self.application.fences.look()
        while effects := core.effects():
            for effect in effects:
                self._performer.carry_out(effect)
        self._world.checks.stepped(self)
        deadline = core.next_deadline()
        if deadline is not None and self.running:
            at = self.world_time(deadline)
            if self._wake_at is None or at < self._wake_at:
                now = self._world.clock.now
                self._wake_at = at = at if at > now else now
                self._world.schedule(at - now, self._wake, at, self.life)

    def _wake(self, at: float, life: int) -> None:
        # Superseded by an earlier one, or of an earlier life.
        if not self.running or life != self.life or self._wake_at != at:
            return
        self._wake_at = None
        if self.paused:
            return
        now = self._world.clock.now
        self._wakes = self._wakes + 1 if now == self._woken_at else 0
        self._woken_at = now
        assert self._wakes < _WAKES_PER_INSTANT_MAX, "the core's deadline doesn't move"
        self.reach(at)
        self._advance_if_due()
        self.flush()

    def _advance_if_due(self) -> None:
        deadline = self.core.next_deadline()
        if deadline is not None and deadline <= self.now():
            self._world.record(facts.TIMER, self.index, b"")
            self.core.advance(self.now())

    def _metadata(self) -> Metadata:
        return Metadata(self.name, "traditional", self.zone, self.software.version, "", "")

    def _kept_keyring(self) -> Keyring | None:
        """What it starts with: the newer of the one in its configuration and the one on its disk,
        which is left out when it is damaged (``node.agent.keepsakes``)."""
        file, named = self.disk.keyring, self.configured
        kept = None if file.damaged else file.stored
        if file.damaged:
            self._world.happened("left_out")
        if kept is None or (named is not None and not kept.newer_than(named)):
            return named
        return kept

    def _defer(self, receive: Callable[..., None], *arguments: Any) -> bool:
        """Whether there is no process now that could take this: it waits, or is lost."""
        if self._unread is not None:
            self._unread.segment(receive, *arguments)
            return True
        return not self.running

    def _end(self, fact: int) -> None:
        assert self.running, f"node {self.index} doesn't run"
        self.running = False
        self.ended_at = self._world.now
        self._unread = None
        self._wake_at = None
        self._world.record(fact, self.index, b"")
        if self.disk.interrupt(self._world.now, self._world.rng):
            self._world.happened("write_interrupted")
        self._world.checks.sometimes.collect(self)


def new_id(index: int, rng: random.Random) -> str:
    """A node id in which one sees whose it is."""
    return f"{index + 1:08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
