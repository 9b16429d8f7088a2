"""What befalls the database itself: it loses commits, or there are two of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulations.operations.operation import Operation
from simulations.world import World
from store.history import Server


@dataclass(frozen=True)
class FailOver(Operation):
    """A standby that lacks the last commits is promoted in the database's place."""

    lost: int

    def __call__(self, world: World) -> None:
        world.authority.lose(min(self.lost, len(world.authority.log)), _promoted(world))


@dataclass(frozen=True)
class SplitDatabase(Operation):
    """A standby is promoted while the database goes on: these nodes reach the one, the others the
    other."""

    promoted: Sequence[int]

    def __call__(self, world: World) -> None:
        twin = world.authority.twin(_promoted(world))
        world.databases = {world.nodes[index].index: twin for index in self.promoted}


@dataclass(frozen=True)
class StopFormer(Operation):
    """Of two databases the one that wasn't promoted is stopped: all nodes reach the other."""

    def __call__(self, world: World) -> None:
        world.authority = next(iter(world.databases.values()), world.authority)
        world.databases = {}


@dataclass(frozen=True)
class Client(Operation):
    """A client writes at a node, which refuses or not."""

    node: int
    accepted: bool

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        answer = node.application.write(world.rng.randbytes(100))
        assert (answer is not None) is self.accepted, f"node {node.index}: {answer}"


def _promoted(world: World) -> Server:
    timeline = world.authority.server.timeline + 1
    return Server(f"db-{timeline}", timeline)
