"""What a node's core wants done, done in the world: ``gossip.transport``'s half of the simulation,
and what the application does by itself when it is told something.
"""

from typing import TYPE_CHECKING

from gossip.address import Address
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
from gossip.events import (
    Event,
    ForcedOut,
    IdentityTaken,
    KeyringChanged,
    KeyUnknown,
    LeaveFinished,
    MemberChanged,
    RegisterChanged,
    Renamed,
)
from gossip.limits import PACKET_BYTES_MAX, SEEDS_MAX
from simulations.connection import Connection
from simulations.disk import DiskFull, Peers, StoredIdentity
from simulations.knock import Visit
from simulations.supervisor import begin

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World


_RESTART_SECONDS = 1.0
"""After this an operator starts a process again that was forced out."""


class Performer:
    """Carries out the effects of one node's cores, and keeps their streams."""

    def __init__(self, world: "World", node: "Node") -> None:
        self._world = world
        self._node = node
        self.streams: dict[int, Connection] = {}
        self._peers: list[tuple[str, Address]] = []

    def carry_out(self, effect: Effect) -> None:
        world, node = self._world, self._node
        match effect:
            case SendDatagram(address, data):
                assert len(data) <= PACKET_BYTES_MAX, f"a packet of {len(data)} bytes"
                world.transmit(node, address, node.software.packet(data))
            case OpenStream(stream, address, frame):
                connection = Connection(world, node, stream, address)
                self.streams[stream] = connection
                connection.connect(node.software.outgoing(frame))
            case SendFrame(stream, frame):
                if stream in self.streams:
                    self.streams[stream].send(node, stream, node.software.outgoing(frame))
            case CloseStream(stream):
                closed = self.streams.pop(stream, None)
                if closed is not None:
                    closed.send(node, stream, None)
            case Knock():
                Visit(world, node, effect, node.software.packet(effect.packet)).begin()
            case ResolveSeeds():
                world.schedule(0.0, self._resolve, node.life)
            case PersistIncarnation(value):
                assert value > node.incarnation, "the incarnation only grows"
                node.incarnation = value
                self._keep_identity()
                world.checks.raised(node)
            case PersistGeneration(value):
                assert value > node.generation, "the generation only grows"
                former, node.generation, node.incarnation = node.generation, value, 1
                self._keep_identity()
                world.checks.goes_on(node, former)
                world.checks.sometimes.outlived()
            case Notify(event):
                self._notice(event)
                world.observe(node, event)

    def recall_peers(self) -> None:
        """A process has begun: ask where others were. A damaged list is left out
        (``node.agent.peers``)."""
        node = self._node
        file = node.disk.peers
        known = {} if file.damaged else file.stored.by_id()
        if file.damaged:
            self._world.happened("left_out")
        self._peers = list(known.items())
        addresses = [address for node_id, address in self._peers if node_id != node.id]
        if addresses:
            node.core.join(addresses[:SEEDS_MAX], node.now())

    def recall_registers(self) -> None:
        """A process has begun: it knows the registers that it knew. A damaged list is left out
        (``node.agent.registers``)."""
        file = self._node.disk.registers
        if file.damaged:
            self._world.happened("left_out")
        else:
            self._node.core.recall_registers(file.stored, self._node.now())

    def close_all(self) -> None:
        """The process is gone, its kernel closes for it."""
        for stream, connection in list(self.streams.items()):
            connection.died(self._node, stream)
        self.streams.clear()

    def _notice(self, event: Event) -> None:
        """What the application does for itself."""
        node = self._node
        if isinstance(event, MemberChanged):
            if event.member.status == "alive":
                self._peers.append((event.member.id, event.member.address))
                node.disk.peers.put(Peers(self._peers, len(self._peers)), self._world.now)
        elif isinstance(event, Renamed):
            node.called = event.name
        elif isinstance(event, KeyringChanged):
            node.disk.keyring.put(event.keyring, self._world.now)
        elif isinstance(event, RegisterChanged):
            kept = node.core.kept_registers(node.now())
            node.disk.registers.put(tuple(kept), self._world.now)
        elif isinstance(event, KeyUnknown):
            self._world.schedule(0.0, self._look_for_keys, node.life)
        elif isinstance(event, IdentityTaken):
            self._world.schedule(0.0, self._renew, node.life)
        elif isinstance(event, ForcedOut):
            # It goes on by itself, without a part in the cluster, until it is restarted.
            node.left = True
            self._world.checks.was_forced_out(node)
            if self._world.supervised:
                self._world.schedule(_RESTART_SECONDS, self._restart, node.life)
        elif isinstance(event, LeaveFinished):
            self._world.schedule(0.0, self._depart, node.life)
        else:
            node.application.fences.told(event)

    def _renew(self, life: int) -> None:
        """Another process keeps the node id: go on as a new node."""
        node = self._node
        if not node.running or node.life != life:
            return
        if node.paused:
            self._world.schedule(1.0, self._renew, life)
            return
        node.crash()
        try:
            node.start(node.new_id())
        except DiskFull:
            # The disk still says who it was.
            begin(self._world, node)

    def _keep_identity(self) -> None:
        node = self._node
        identity = StoredIdentity(node.id, node.generation, node.incarnation)
        node.disk.identity.put(identity, self._world.now)

    def _look_for_keys(self, life: int) -> None:
        """Others use a key that it lacks: compare with the keyring that the authority keeps."""
        node, world = self._node, self._world
        reads = node.running and node.life == life and not node.paused and not node.left
        if reads and world.authority.available and world.keyring is not None:
            node.application.offer_keyring(world.keyring)

    def _restart(self, life: int) -> None:
        node = self._node
        if node.running and node.life == life:
            node.crash()
            begin(self._world, node)

    def _depart(self, life: int) -> None:
        if self._node.running and self._node.life == life:
            self._node.crash()

    def _resolve(self, life: int) -> None:
        node = self._node
        if node.running and life == node.life and not node.paused:
            node.core.seeds_resolved(self._world.seeds, node.now())
            node.flush()
