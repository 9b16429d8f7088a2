"""A simulated node: a machine with a clock and a kernel, and on it the real protocol core.

The one file that knows the core's methods and effects: what ``gossip.transport`` does with asyncio
is done here with scheduled events.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gossip.address import Address
from gossip.core import Gossip
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
from gossip.events import IdentityTaken, KeyringChanged, LeaveFinished, MemberChanged
from gossip.identity import Identity
from gossip.keyring import Keyring
from gossip.limits import PACKET_BYTES_MAX, SEEDS_MAX
from gossip.member import MemberView, Metadata
from gossip.members import alive_claim
from gossip.messages import Alive
from gossip.refusal import TcpOutcome, UdpOutcome
from gossip.replica import Changeset, Head
from simulations import facts
from simulations.authority import EMPTY, LogReplica
from simulations.connection import Connection
from simulations.disk import Disk
from simulations.knock import Visit

if TYPE_CHECKING:
    from simulations.world import World

_WAKES_PER_INSTANT_MAX = 100
"""More timer events of one node without time passing are a loop in the core."""

KERNEL_BUFFER_PACKETS = 256
"""Packets that a kernel keeps for a process that doesn't read: Linux' 212,992 bytes hold about so
many small ones."""


class Node:
    """One node. Its id, address and disk outlive the process; its core doesn't."""

    def __init__(self, world: "World", index: int, node_id: str = "") -> None:
        self._world = world
        self.index = index
        self.id = node_id or self._new_id()
        self.name = f"node-{index}"
        self.zone = ""
        self.address: Address = (f"10.0.{index // 250}.{index % 250 + 1}", 8005)
        self.source = self.address
        """Where its packets seem to come from: another address behind a NAT."""
        self.disk = Disk(keyring=world.keyring)
        self.life = 0
        """Counts its processes, whatever their generations."""
        self.power = True
        """Without it the machine says nothing at all."""
        self.running = False
        self.left = False
        """Whether it has left in this life, or is about to."""
        self.retired = False
        """Whether it never starts again."""
        self.clock_offset = 0.0
        self.clock_rate = 1.0
        """Its monotonic clock shows ``offset + rate * world time``."""
        self.wall_offset = 0.0
        """What its wall clock is wrong by. The core never sees one."""
        self.highest = EMPTY.version
        """The highest version that its replica has held."""
        self._now = 0.0
        self._stood_still: list[tuple[float, float]] = []
        """(until when, how long) it stood still so that it had to notice, by its own clock."""
        self._core: Gossip | None = None
        self._streams: dict[int, Connection] = {}
        self._next_accepted = 1
        self._wake_at: float | None = None
        self._woken_at = -1.0
        self._wakes = 0
        self._unread: deque[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        """What the kernel holds for a process that stands still."""
        self._unread_max = KERNEL_BUFFER_PACKETS

    @property
    def core(self) -> Gossip:
        """The protocol core of this life. Fails before the first one."""
        assert self._core is not None, f"node {self.index} was never started"
        return self._core

    @property
    def replica(self) -> LogReplica:
        return self.disk.replica

    @replica.setter
    def replica(self, replica: LogReplica) -> None:
        self.disk.replica = replica

    @property
    def keyring(self) -> Keyring | None:
        """The one that it stored."""
        return self.disk.keyring

    @property
    def generation(self) -> int:
        """The last one that it stored: that of the life that runs, or ran last."""
        return self.disk.generation

    @generation.setter
    def generation(self, value: int) -> None:
        self.disk.generation = value

    @property
    def incarnation(self) -> int:
        """The last one that it stored."""
        return self.disk.incarnation

    @property
    def paused(self) -> bool:
        return self._unread is not None

    def is_life(self, node_id: str, generation: int) -> bool:
        """Whether this process, alive, is the one with that identity."""
        return self.running and self.id == node_id and self.generation == generation

    def answers(self) -> bool:
        """Whether its kernel says that a port is closed, and that is heard."""
        return self.power and self.index not in self._world.network.hides_refusals

    def now(self) -> float:
        """Its monotonic clock."""
        local = self.clock_offset + self.clock_rate * self._world.clock.now
        if local > self._now:
            self._now = local
        return self._now

    def awake_since(self, since: float) -> float:
        """Seconds by its own clock, without those that it must know it stood still for."""
        return self.now() - since - sum(late for end, late in self._stood_still if end > since)

    # The process

    def start(self) -> None:
        """Begin a new life, with the next generation."""
        assert not self.running, f"node {self.index} runs already"
        world = self._world
        self.power = self.running = True
        self.left = False
        self.life += 1
        self.generation += 1
        self.disk.incarnation = 1
        rng = random.Random(world.rng.getrandbits(64))
        identity = Identity(self.id, self.generation, rng.getrandbits(64))
        metadata = Metadata(self.name, "traditional", self.zone, "0", "", "")
        self._core = Gossip(
            identity, metadata, self.address, "simulated", world.profile, self.replica, rng,
            self.now(), incarnation=1, keyring=self.disk.keyring,
        )  # fmt: skip
        world.record(facts.START, self.index, b"%d" % self.generation)
        world.checks.lives(self)
        self._core.start(self.now())
        peers = [address for id, address in self.disk.peers.items() if id != self.id]
        if peers:
            self._core.join(peers[:SEEDS_MAX], self.now())
        self.flush()

    def crash(self) -> None:
        """The process ends at once, as by kill -9: its kernel closes the sockets."""
        self._end(facts.CRASH)
        for stream, connection in list(self._streams.items()):
            connection.died(self, stream)
        self._streams.clear()

    def silence(self, unsynced: int = 0) -> None:
        """The machine loses its power: nobody is told. The last ``unsynced`` changesets were not on
        the disk yet."""
        self._end(facts.SILENCE)
        self.power = False
        self._streams.clear()
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
            self._unread, self._unread_max = deque(), kernel_buffer

    def resume(self) -> None:
        """Let it go on: it finds its timers due and its packets unread, and reads those first, as
        ``gossip.transport`` does."""
        unread, self._unread = self._unread, None
        if unread is None or not self.running:
            return
        self._world.record(facts.RESUME, self.index, b"")
        life = self.life
        for receive, arguments in unread:
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
        self.replica = LogReplica()
        self.highest = EMPTY.version

    def restore(self, disk: Disk) -> None:
        """Put an older disk in while it doesn't run."""
        assert not self.running, f"node {self.index} runs"
        self.disk = disk.snapshot()
        self.highest = self.replica.head()[0]

    # Inputs from the application

    def committed(self, changeset: Changeset) -> None:
        """This node has committed a changeset at the authority."""
        early = () if self.replica.offer(*changeset) == "applied" else (changeset,)
        self.core.committed(self.now(), early)
        self.flush()

    def offer_keyring(self, keyring: Keyring) -> None:
        """An operator has changed the keyring here, or it was fetched from where it is kept."""
        if self.core.offer_keyring(keyring, self.now()):
            self.disk.keyring = keyring
        self.flush()

    def fetch_snapshot(self) -> None:
        """The authority is away: take the state from a peer."""
        self.core.fetch_snapshot(self.now())

    def load(self) -> None:
        """Load the state from the authority, and say that it was confirmed there."""
        authority = self._world.authority
        self.replica.load(authority.after(Head(*self.replica.head()).version))
        self.core.authority_confirmed(authority.head(), self.now())

    def poll(self) -> None:
        """Ask the authority for what is new and, while alone, where the others are."""
        if not self._world.authority.available or not self.running or self.paused or self.left:
            return
        if len(self.alive_seen()) < 2:
            self.core.join(self._world.directory(self), self.now())
        self.load()
        if self._world.keyring is not None:
            self.offer_keyring(self._world.keyring)
        self.flush()

    def acquaint(self, others: Iterable["Node"]) -> None:
        """Let it know these as if it had for long: nothing is spread, which would cost the square
        of a large cluster. For worlds that begin with a formed one."""
        for other in others:
            if other is not self:
                self.core._members.admit_alive(other.claim(), self.now())

    def claim(self) -> Alive:
        """That it is alive."""
        return alive_claim(self.core._me)

    # What it knows

    def members(self) -> list[MemberView]:
        return self.core.members(self.now())

    @property
    def health_score(self) -> int:
        return self.core.health_score()

    def forces_out(self) -> bool:
        """Whether this process has made a member leave."""
        return self.life > 0 and self.core.counters["forced_out"] > 0

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
            if len(self._unread) < self._unread_max:
                self._unread.append((self.datagram_received, (data, source)))
            return
        self._world.record(facts.DATAGRAM, self.index, data)
        before = self.core.counters["claims_stale"]
        self.core.datagram_received(data, source, self.now())
        if self.core.counters["claims_stale"] > before:
            self._world.checks.refused(self, self._world.at_address(source))
        self.flush()

    def stream_offered(self) -> int:
        """Its name for the next stream that is opened to it."""
        stream, self._next_accepted = self._next_accepted, self._next_accepted + 2
        return stream

    def stream_accepted(self, stream: int, connection: Connection, source: Address) -> None:
        if self._defer(self.stream_accepted, stream, connection, source):
            return
        self._world.record(facts.ACCEPTED, self.index, b"%d" % stream)
        self._streams[stream] = connection
        self.core.stream_accepted(stream, source, self.now())
        self.flush()

    def frame_received(self, stream: int, frame: bytes) -> None:
        if self._defer(self.frame_received, stream, frame):
            return
        connection = self._streams.get(stream)
        if connection is None:
            return
        self._world.record(facts.FRAME, self.index, frame)
        before = self.core.counters["claims_stale"]
        self.core.frame_received(stream, frame, self.now())
        if self.core.counters["claims_stale"] > before:
            self._world.checks.refused(self, connection.far_end(self))
        self.flush()

    def stream_closed(self, stream: int, *, refused: bool) -> None:
        """A stream ended; ``refused`` when a kernel said that nobody is there (any more)."""
        if self._defer(self._stream_closed, stream, refused):
            return
        self._stream_closed(stream, refused)

    def _stream_closed(self, stream: int, refused: bool) -> None:
        if self._streams.pop(stream, None) is not None:
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
        while effects := core.effects():
            for effect in effects:
                self._carry_out(effect)
        self._world.checks.stepped(self)
        deadline = core.next_deadline()
        if deadline is not None and self.running:
            at = (deadline - self.clock_offset) / self.clock_rate
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
        # World time and back again may have rounded the deadline into the future.
        self._now = max(self.now(), self.clock_offset + self.clock_rate * at + 1e-9)
        self._advance_if_due()
        self.flush()

    def _advance_if_due(self) -> None:
        deadline = self.core.next_deadline()
        if deadline is not None and deadline <= self.now():
            self._world.record(facts.TIMER, self.index, b"")
            self.core.advance(self.now())

    def _carry_out(self, effect: Effect) -> None:
        world = self._world
        match effect:
            case SendDatagram(address, data):
                assert len(data) <= PACKET_BYTES_MAX, f"a packet of {len(data)} bytes"
                world.transmit(self, address, data)
            case OpenStream(stream, address, frame):
                connection = Connection(world, self, stream, address)
                self._streams[stream] = connection
                connection.connect(frame)
            case SendFrame(stream, frame):
                if stream in self._streams:
                    self._streams[stream].send(self, stream, frame)
            case CloseStream(stream):
                closed = self._streams.pop(stream, None)
                if closed is not None:
                    closed.send(self, stream, None)
            case Knock():
                Visit(world, self, effect).begin()
            case ResolveSeeds():
                world.schedule(0.0, self._resolve, self.life)
            case PersistIncarnation(value):
                assert value > self.incarnation, "the incarnation only grows"
                self.disk.incarnation = value
                world.checks.raised(self)
            case PersistGeneration(value):
                assert value > self.generation, "the generation only grows"
                self.generation = value
                self.disk.incarnation = 1
                world.checks.lives(self)
                world.checks.sometimes.outlived()
            case Notify(event):
                self._notice(event)
                world.observe(self, event)

    def _notice(self, event: object) -> None:
        """What the application does for itself."""
        if isinstance(event, MemberChanged):
            if event.member.status == "alive":
                self.disk.peers[event.member.id] = event.member.address
        elif isinstance(event, KeyringChanged):
            self.disk.keyring = event.keyring
        elif isinstance(event, IdentityTaken):
            self._world.schedule(0.0, self._renew, self.life)
        elif isinstance(event, LeaveFinished):
            self._world.schedule(0.0, self._depart, self.life)

    def _renew(self, life: int) -> None:
        """Another process keeps the node id: go on as a new node."""
        if not self.running or self.life != life:
            return
        if self.paused:
            self._world.schedule(1.0, self._renew, life)
            return
        self.crash()
        self.id = self._new_id()
        self.generation = 0
        self.start()

    def _new_id(self) -> str:
        return f"{self.index + 1:08x}-0000-4000-8000-{self._world.rng.getrandbits(48):012x}"

    def _depart(self, life: int) -> None:
        if self.running and self.life == life:
            self.crash()

    def _resolve(self, life: int) -> None:
        if self.running and life == self.life and not self.paused:
            self.core.seeds_resolved(self._world.seeds, self.now())
            self.flush()

    def _defer(self, receive: Callable[..., None], *arguments: Any) -> bool:
        """Whether there is no process now that could take this: it waits, or is lost."""
        if self._unread is not None:
            self._unread.append((receive, arguments))
            return True
        return not self.running

    def _end(self, fact: int) -> None:
        assert self.running, f"node {self.index} doesn't run"
        self.running = False
        self._unread = None
        self._wake_at = None
        self._world.record(fact, self.index, b"")
        self._world.checks.sometimes.collect(self)
