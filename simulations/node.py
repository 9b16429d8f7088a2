"""A simulated node: the real core, a replica in memory, a transport made of scheduled events."""

import random
from collections import deque
from collections.abc import Callable
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
from gossip.events import KeyringChanged
from gossip.identity import Identity
from gossip.keyring import Keyring
from gossip.limits import KNOCK_SECONDS_MAX, PACKET_BYTES_MAX
from gossip.member import Metadata
from gossip.refusal import TcpOutcome, UdpOutcome
from gossip.replica import Changeset, Head
from simulations.authority import EMPTY, LogReplica

if TYPE_CHECKING:
    from simulations.world import World

_WAKES_PER_INSTANT_MAX = 100
"""More timer events of one node without time passing are a loop in the core."""


class Node:
    """One node. Its id, address, replica and generation outlive a crash; its core doesn't."""

    def __init__(self, world: "World", index: int) -> None:
        self._world = world
        self.index = index
        self.id = f"{index + 1:08x}-0000-4000-8000-{world.rng.getrandbits(48):012x}"
        self.name = f"node-{index}"
        self.address: Address = (f"10.0.{index // 250}.{index % 250 + 1}", 8005)
        self.generation = 0
        self.life = 0
        """Counts its processes, whatever their generations."""
        self.incarnation = 1
        self.running = False
        self.replica = LogReplica()
        self.highest = EMPTY.version
        """The highest version that its replica has held."""
        self.keyring = world.keyring
        """What it has stored; None in clear."""
        self._core: Gossip | None = None
        self._streams: dict[int, Connection] = {}
        self._next_accepted = 1
        self._wake_at: float | None = None
        self._woken_at = -1.0
        self._wakes = 0
        self._unread: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        """What came in while it stood still; None while it doesn't."""

    @property
    def core(self) -> Gossip:
        """The protocol core of this life. Fails before the first one."""
        assert self._core is not None, f"node {self.index} was never started"
        return self._core

    def start(self) -> None:
        """Begin a new life, with the next generation."""
        assert not self.running, f"node {self.index} runs already"
        world = self._world
        self.life += 1
        self.generation += 1
        self.incarnation = 1
        self.running = True
        rng = random.Random(world.rng.getrandbits(64))
        identity = Identity(self.id, self.generation, rng.getrandbits(64))
        metadata = Metadata(self.name, "traditional", "", "0", "", "")
        self._core = Gossip(
            identity, metadata, self.address, "simulated", world.profile, self.replica, rng,
            world.now, incarnation=self.incarnation, keyring=self.keyring,
        )  # fmt: skip
        world.record("start", self.index, self.generation)
        self._core.start(world.now)
        self.flush()

    def crash(self) -> None:
        """End at once, as by kill -9: the kernel closes the sockets, the core is gone."""
        self.running = False
        self._wake_at = self._unread = None
        self._world.record("crash", self.index)
        for stream, connection in list(self._streams.items()):
            connection.close(self, stream)
        self._streams.clear()

    def stop(self) -> None:
        """Stand still, as by SIGSTOP: its kernel accepts and keeps, the process reads nothing."""
        assert self.running, f"node {self.index} doesn't run"
        self._unread = []
        self._wake_at = None

    def resume(self) -> None:
        """Go on: what waits in the sockets is read before any timer is looked at."""
        unread, self._unread = self._unread or [], None
        for receive, arguments in unread:
            receive(*arguments)
        self.flush()

    def erase(self) -> None:
        """Lose the disk while it doesn't run."""
        assert not self.running, f"node {self.index} runs"
        self.replica = LogReplica()
        self.highest = EMPTY.version

    def committed(self, changeset: Changeset) -> None:
        """This node has committed a changeset at the authority."""
        early = () if self.replica.offer(*changeset) == "applied" else (changeset,)
        self.core.committed(self._world.now, early)
        self.flush()

    def offer_keyring(self, keyring: Keyring) -> None:
        """An operator has changed the keyring here, or it was fetched from where it is kept."""
        if self.core.offer_keyring(keyring, self._world.now):
            self.keyring = keyring
        self.flush()

    def fetch_snapshot(self) -> None:
        """The authority is away: take the state from a peer."""
        self.core.fetch_snapshot(self._world.now)

    def load(self) -> None:
        """Load the state from the authority, and say that it was confirmed there."""
        authority = self._world.authority
        self.replica.load(authority.after(Head(*self.replica.head()).version))
        self.core.authority_confirmed(authority.head(), self._world.now)

    def alive_seen(self) -> list[tuple[str, int]]:
        """(node id, generation) of all members that it holds for alive, sorted."""
        members = self.core.members(self._world.now)
        return sorted((m.id, m.generation) for m in members if m.status == "alive")

    def status_of(self, other: "Node") -> str | None:
        """What it holds another node for; None when it isn't listed."""
        for member in self.core.members(self._world.now):
            if member.id == other.id:
                return member.status
        return None

    def datagram_received(self, data: bytes, source: Address) -> None:
        if self._unread is not None:
            self._unread.append((self.datagram_received, (data, source)))
        elif self.running:
            self._world.record("datagram", self.index, source, data)
            self.core.datagram_received(data, source, self._world.now)
            self.flush()

    def stream_accepted(self, connection: "Connection") -> int:
        """A stream was opened to this node; answers its name for it."""
        stream, self._next_accepted = self._next_accepted, self._next_accepted + 2
        self._streams[stream] = connection
        self.core.stream_accepted(stream, connection.opener.address, self._world.now)
        self.flush()
        return stream

    def frame_received(self, stream: int, frame: bytes) -> None:
        if self._unread is not None:
            self._unread.append((self.frame_received, (stream, frame)))
        elif self.running and stream in self._streams:
            self._world.record("frame", self.index, stream, frame)
            self.core.frame_received(stream, frame, self._world.now)
            self.flush()

    def stream_closed(self, stream: int, *, refused: bool = False) -> None:
        if self.running and self._streams.pop(stream, None) is not None:
            refused = refused or self.core.stands(stream)
            self._world.record("closed", self.index, stream, refused)
            self.core.stream_closed(stream, self._world.now, refused)
            self.flush()

    def knocked(self, knock: int, udp: UdpOutcome, tcp: TcpOutcome) -> None:
        if self.running:
            self._world.record("knocked", self.index, knock, udp, tcp)
            self.core.knocked(knock, udp, tcp, self._world.now)
            self.flush()

    def flush(self) -> None:
        """Carry out the core's effects and schedule its next deadline."""
        if self._unread is not None:
            return
        while effects := self.core.effects():
            for effect in effects:
                self._carry_out(effect)
        self._world.check_head(self)
        deadline = self.core.next_deadline()
        if deadline is not None and (self._wake_at is None or deadline < self._wake_at):
            self._wake_at = max(deadline, self._world.now)
            delay = self._wake_at - self._world.now
            self._world.schedule(delay, self._wake, self._wake_at, self.life)

    def _wake(self, at: float, life: int) -> None:
        # Superseded by an earlier one, or of an earlier life.
        if not self.running or life != self.life or self._wake_at != at:
            return
        self._wake_at = None
        now = self._world.now
        self._wakes = self._wakes + 1 if now == self._woken_at else 0
        self._woken_at = now
        assert self._wakes < _WAKES_PER_INSTANT_MAX, "the core's deadline doesn't move"
        deadline = self.core.next_deadline()
        if deadline is not None and deadline <= now:
            self.core.advance(now)
        self.flush()

    def _carry_out(self, effect: Effect) -> None:
        world = self._world
        match effect:
            case SendDatagram(address, data):
                assert len(data) <= PACKET_BYTES_MAX, f"a packet of {len(data)} bytes"
                other = world.at_address(address)
                visit = world.visits.get(address)
                if visit is not None:
                    visit.answered(self, data)
                elif other is not None:
                    for delay in world.network.datagram(self.index, other.index):
                        world.schedule(delay, other.datagram_received, data, self.address)
            case OpenStream(stream, address, frame):
                connection = Connection(world, self, stream, address)
                self._streams[stream] = connection
                world.connect(connection, frame)
            case SendFrame(stream, frame):
                if stream in self._streams:
                    self._streams[stream].send(self, stream, frame)
            case CloseStream(stream):
                closed = self._streams.pop(stream, None)
                if closed is not None:
                    closed.close(self, stream)
            case Knock(knock, address, packet):
                Visit(world, self, knock, address).begin(packet)
            case ResolveSeeds():
                world.schedule(0.0, self._resolve, self.life)
            case PersistIncarnation(value):
                assert value > self.incarnation, "the incarnation only grows"
                self.incarnation = value
            case PersistGeneration(value):
                assert value > self.generation, "the generation only grows"
                self.generation, self.incarnation = value, 1
            case Notify(event):
                if isinstance(event, KeyringChanged):
                    self.keyring = event.keyring
                world.observe(self, event)

    def _resolve(self, life: int) -> None:
        if self.running and life == self.life:
            self.core.seeds_resolved(self._world.seeds, self._world.now)
            self.flush()


class Connection:
    """One TCP connection: in order both ways, cut by closing."""

    def __init__(self, world: "World", opener: Node, stream: int, address: Address) -> None:
        self._world = world
        self.opener = opener
        self.address = address
        self._opener_stream = stream
        self._acceptor: Node | None = None
        self._acceptor_stream = -1
        self._queues: tuple[deque[bytes | None], deque[bytes | None]] = (deque(), deque())
        """What is under way to the opener, and to the acceptor; None is the end."""

    def refused(self) -> None:
        self.opener.stream_closed(self._opener_stream, refused=True)

    def accepted(self, node: Node, frame: bytes) -> None:
        """The far end's kernel has it, and its first frame."""
        if not node.running:
            self.refused()
            return
        self._acceptor = node
        self._acceptor_stream = node.stream_accepted(self)
        node.frame_received(self._acceptor_stream, frame)

    def send(self, sender: Node, stream: int, frame: bytes) -> None:
        self._put(sender, stream, frame)

    def close(self, sender: Node, stream: int) -> None:
        self._put(sender, stream, None)

    def _put(self, sender: Node, stream: int, item: bytes | None) -> None:
        if self._acceptor is None:
            return
        from_opener = sender is self.opener and stream == self._opener_stream
        receiver = self._acceptor if from_opener else self.opener
        if self._world.network.passes(sender.index, receiver.index, "tcp"):
            self._queues[from_opener].append(item)
            self._world.schedule(self._world.network.segment(), self._deliver, from_opener)

    def _deliver(self, to_acceptor: bool) -> None:
        """Each delivery takes the oldest item, so whatever the delays the order stays."""
        item = self._queues[to_acceptor].popleft()
        receiver = self._acceptor if to_acceptor else self.opener
        stream = self._acceptor_stream if to_acceptor else self._opener_stream
        assert receiver is not None
        if item is None:
            receiver.stream_closed(stream)
        else:
            receiver.frame_received(stream, item)


class Visit:
    """One knock: a packet and a connect from sockets of its own, at another port."""

    def __init__(self, world: "World", knocker: Node, knock: int, address: Address) -> None:
        self._world = world
        self._knocker = knocker
        self._generation = knocker.generation
        self._knock = knock
        self._address = address
        self._udp: UdpOutcome = "silent"
        self._tcp: TcpOutcome = "silent"
        self._source: Address = (knocker.address[0], 20_000 + knock % 40_000)
        self._done = False

    def begin(self, packet: bytes) -> None:
        world, network = self._world, self._world.network
        other = world.at_address(self._address)
        world.visits[self._source] = self
        world.schedule(KNOCK_SECONDS_MAX, self._end)
        if other is None:
            return
        here, there = self._knocker.index, other.index
        for delay in network.datagram(here, there):
            world.schedule(delay, self._packet_arrives, other, packet)
        if network.passes(here, there, "tcp") and network.passes(there, here, "tcp"):
            world.schedule(2 * network.segment(), self._connects, other)

    def answered(self, other: Node, data: bytes) -> None:
        """The other node sends something back."""
        for delay in self._world.network.datagram(other.index, self._knocker.index):
            self._world.schedule(delay, self._answer_arrives, data)

    def _packet_arrives(self, other: Node, packet: bytes) -> None:
        if other.running:
            other.datagram_received(packet, self._source)
            return
        for delay in self._world.network.datagram(other.index, self._knocker.index):
            self._world.schedule(delay, self._packet_refused)

    def _packet_refused(self) -> None:
        self._udp = "refused"
        self._end_when_known()

    def _answer_arrives(self, data: bytes) -> None:
        if not self._done:
            self._udp = "answered"
            self._knocker.datagram_received(data, self._address)
            self._end_when_known()

    def _connects(self, other: Node) -> None:
        self._tcp = "open" if other.running else "refused"
        self._end_when_known()

    def _end_when_known(self) -> None:
        if "silent" not in (self._udp, self._tcp):
            self._end()

    def _end(self) -> None:
        if self._done:
            return
        self._done = True
        self._world.visits.pop(self._source, None)
        if self._knocker.generation == self._generation:
            self._knocker.knocked(self._knock, self._udp, self._tcp)
