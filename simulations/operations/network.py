"""What happens to the network."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulations.links import BOTH, Link, Protocol
from simulations.operations.operation import Operation
from simulations.world import World

Nodes = Sequence[int]


@dataclass(frozen=True)
class Cut(Operation):
    """Nothing passes from the senders to the receivers (one way)."""

    senders: Nodes
    receivers: Nodes
    protocols: Sequence[Protocol] = BOTH

    def __call__(self, world: World) -> None:
        senders, receivers = _pair(world, self.senders, self.receivers)
        world.network.cut(senders, receivers, self.protocols)
        if len(self.protocols) == 1:
            world.happened("cut_by_protocol")


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
        world.happened("clogged")
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
        node = world.nodes[self.node]
        world.rebind(node)
        if node.running:
            world.happened("rebound")


def _indices(world: World, group: Nodes) -> list[int]:
    return [world.nodes[index].index for index in group]


def _pair(world: World, one: Nodes, other: Nodes) -> tuple[list[int], list[int]]:
    return _indices(world, one), _indices(world, other)
