"""What can be done to a world: the words that scenarios and swarm runs are written in.

An operation is a value that prints as what it does, and is called with the world to do it. Nodes
are named by index, from the end when negative. What makes no sense at the moment (to crash a node
that doesn't run) does nothing, so any list of operations is a valid one, also after some were
deleted from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gossip.identity import Identity
from gossip.keyring import KEY_BYTES, install, remove, use
from simulations import facts
from simulations.disk import Disk
from simulations.links import BOTH, Link, Protocol
from simulations.node import KERNEL_BUFFER_PACKETS, Node
from simulations.world import World

Nodes = Sequence[int]


@dataclass(frozen=True)
class Operation:
    """Something that is done to a world."""

    def __call__(self, world: World) -> None:
        raise NotImplementedError


def perform(operation: Operation, world: World) -> None:
    """Do it, and have the trace say so."""
    world.record(facts.OPERATION, -1, repr(operation).encode())
    operation(world)


# Time


@dataclass(frozen=True)
class Wait(Operation):
    """Let time pass."""

    seconds: float

    def __call__(self, world: World) -> None:
        world.run(self.seconds)


@dataclass(frozen=True)
class Mark(Operation):
    """What follows is measured from here."""

    def __call__(self, world: World) -> None:
        world.marked_at = world.now


@dataclass(frozen=True)
class Until(Operation):
    """Let time pass until a condition holds; the time since the last mark is measured under a name.
    Raises TimeoutError when it takes longer than ``within`` seconds."""

    measure: str
    condition: Callable[[World], bool]
    within: float

    def __call__(self, world: World) -> None:
        world.run_until(lambda: self.condition(world), self.within, f"no {self.measure}")
        world.measures[self.measure] = world.now - world.marked_at

    def __repr__(self) -> str:
        return f"Until({self.measure!r}, within={self.within})"


@dataclass(frozen=True)
class Expect(Operation):
    """A condition holds now, or the run fails."""

    what: str
    condition: Callable[[World], bool]

    def __call__(self, world: World) -> None:
        assert self.condition(world), f"not so: {self.what}"

    def __repr__(self) -> str:
        return f"Expect({self.what!r})"


# Processes and machines


@dataclass(frozen=True)
class Join(Operation):
    """These nodes start, one after another."""

    nodes: Nodes
    apart: float = 0.1

    def __call__(self, world: World) -> None:
        for place, index in enumerate(self.nodes):
            world.schedule(place * self.apart, _start, world.nodes[index])


@dataclass(frozen=True)
class Crash(Operation):
    """The process dies; its kernel refuses and resets from then on."""

    node: int

    def __call__(self, world: World) -> None:
        if world.nodes[self.node].running:
            world.nodes[self.node].crash()


@dataclass(frozen=True)
class Silence(Operation):
    """The machine loses its power; the last ``unsynced`` changesets weren't on its disk."""

    node: int
    unsynced: int = 0

    def __call__(self, world: World) -> None:
        if world.nodes[self.node].running:
            world.nodes[self.node].silence(self.unsynced)


@dataclass(frozen=True)
class Start(Operation):
    """It starts again, with the disk that it had, an empty one, or the last one saved."""

    node: int
    disk: Literal["same", "empty", "saved"] = "same"

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if node.running or node.retired:
            return
        saved = world.saved_disks.get(node.index)
        if self.disk == "empty":
            node.erase()
        elif self.disk == "saved" and saved is not None:
            node.restore(saved)
        _start(node)


@dataclass(frozen=True)
class SaveDisk(Operation):
    """Keep an image of its disk, for a later ``Start(disk="saved")``."""

    node: int

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        saved: Disk = node.disk.snapshot()
        world.saved_disks[node.index] = saved


@dataclass(frozen=True)
class Leave(Operation):
    """It tells the others that it goes, and goes. With ``cut_short`` it dies in the middle."""

    node: int
    cut_short: bool = False

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if node.running and not node.paused and not node.left:
            node.leave()
            if self.cut_short and node.running:
                node.crash()


@dataclass(frozen=True)
class Pause(Operation):
    """The process stands still; its kernel keeps some packets for it."""

    node: int
    kernel_buffer: int = KERNEL_BUFFER_PACKETS

    def __call__(self, world: World) -> None:
        if world.nodes[self.node].running:
            world.nodes[self.node].pause(self.kernel_buffer)


@dataclass(frozen=True)
class Resume(Operation):
    """It goes on."""

    node: int

    def __call__(self, world: World) -> None:
        world.nodes[self.node].resume()


@dataclass(frozen=True)
class RestartAll(Operation):
    """A restart storm: all processes die at once and come back, ``apart`` seconds between them."""

    apart: float = 0.0

    def __call__(self, world: World) -> None:
        for place, node in enumerate([node for node in world.nodes if node.running]):
            node.crash()
            world.schedule(place * self.apart, _start, node)


@dataclass(frozen=True)
class SwapAddresses(Operation):
    """Two nodes restart, each at the other's address."""

    one: int
    other: int

    def __call__(self, world: World) -> None:
        pair = (world.nodes[self.one], world.nodes[self.other])
        if pair[0] is pair[1]:
            return
        for node in pair:
            if node.running:
                node.crash()
        world.swap_addresses(*pair)
        for node in pair:
            _start(node)


@dataclass(frozen=True)
class Double(Operation):
    """A second machine starts from a copy of a node's disk: two live processes with one node id,
    of one generation if the copy is from before the last start. It ends after a while."""

    node: int
    seconds: float
    same_generation: bool = True

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        double = world.add_node(twin_of=node)
        double.disk.generation -= self.same_generation and node.running
        double.start()
        world.schedule(self.seconds, _power_off, double)


@dataclass(frozen=True)
class StepWallClock(Operation):
    """Its wall clock jumps. The core knows none, so nothing must come of it."""

    node: int
    seconds: float

    def __call__(self, world: World) -> None:
        world.nodes[self.node].wall_offset += self.seconds


# The network


@dataclass(frozen=True)
class Cut(Operation):
    """Nothing passes from the senders to the receivers (one way)."""

    senders: Nodes
    receivers: Nodes
    protocols: Sequence[Protocol] = BOTH

    def __call__(self, world: World) -> None:
        senders, receivers = _pair(world, self.senders, self.receivers)
        world.network.cut(senders, receivers, self.protocols)


@dataclass(frozen=True)
class Mend(Operation):
    """The opposite of Cut."""

    senders: Nodes
    receivers: Nodes
    protocols: Sequence[Protocol] = BOTH

    def __call__(self, world: World) -> None:
        senders, receivers = _pair(world, self.senders, self.receivers)
        world.network.mend(senders, receivers, self.protocols)


@dataclass(frozen=True)
class Partition(Operation):
    """Nothing passes between any two sides."""

    sides: Sequence[Nodes]

    def __call__(self, world: World) -> None:
        world.network.partition(*(_indices(world, side) for side in self.sides))


@dataclass(frozen=True)
class Clog(Operation):
    """What goes from the senders to the receivers is held up, and comes all at once."""

    senders: Nodes
    receivers: Nodes
    seconds: float

    def __call__(self, world: World) -> None:
        senders, receivers = _pair(world, self.senders, self.receivers)
        world.network.clog(senders, receivers, world.now + self.seconds)


@dataclass(frozen=True)
class Heal(Operation):
    """No cuts and clogs any more."""

    def __call__(self, world: World) -> None:
        world.network.heal()


@dataclass(frozen=True)
class SetLink(Operation):
    """All links without one of their own become like this."""

    link: Link

    def __call__(self, world: World) -> None:
        world.network.link = self.link


@dataclass(frozen=True)
class SetOwnLink(Operation):
    """One way between two nodes gets a link of its own."""

    sender: int
    receiver: int
    link: Link

    def __call__(self, world: World) -> None:
        world.network.own_links[self.sender, self.receiver] = self.link


@dataclass(frozen=True)
class HideRefusals(Operation):
    """A firewall in front of these nodes swallows what their kernels refuse."""

    nodes: Nodes

    def __call__(self, world: World) -> None:
        for index in self.nodes:
            world.network.hides_refusals[index] = None


@dataclass(frozen=True)
class Rebind(Operation):
    """The NAT in front of a node forgets it: its packets come from another address."""

    node: int

    def __call__(self, world: World) -> None:
        world.rebind(world.nodes[self.node])


@dataclass(frozen=True)
class Rotate(Operation):
    """The operator takes the next step of a key rotation through a node: install a new key, send
    under it, or remove an old one. The authority keeps the result."""

    node: int

    def __call__(self, world: World) -> None:
        node, kept = world.nodes[self.node], world.keyring
        if kept is None or not node.running or node.paused or node.left:
            return
        by = Identity(node.id, node.generation, node.generation)
        if len(kept.keys) == 1:
            changed = install(kept, world.rng.randbytes(KEY_BYTES), by)
        elif world.rng.random() < 0.5:
            changed = use(kept, kept.keys[-1], by)
        else:
            changed = remove(kept, kept.keys[-1], by)
        if changed.newer_than(kept):
            world.keyring = changed
            node.offer_keyring(changed)


# The data


@dataclass(frozen=True)
class Write(Operation):
    """A change is committed through a node that runs, or through nobody."""

    node: int
    size: int = 100

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if node.running and not node.paused and not node.left:
            world.commit(node.index, world.rng.randbytes(self.size))


@dataclass(frozen=True)
class AuthorityAway(Operation):
    """The authority answers nobody from now on; ``False`` brings it back."""

    away: bool = True

    def __call__(self, world: World) -> None:
        world.authority.available = not self.away


def _start(node: Node) -> None:
    if not node.running and not node.retired:
        node.start()


def _power_off(node: Node) -> None:
    node.retired = True
    if node.running:
        node.silence()


def _indices(world: World, group: Nodes) -> list[int]:
    return [world.nodes[index].index for index in group]


def _pair(world: World, one: Nodes, other: Nodes) -> tuple[list[int], list[int]]:
    return _indices(world, one), _indices(world, other)
