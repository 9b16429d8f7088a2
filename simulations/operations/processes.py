"""What happens to processes and to the machines that they run on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from simulations.disk import Disk
from simulations.machine import KERNEL_BUFFER_PACKETS
from simulations.node import Node
from simulations.operations.operation import Operation
from simulations.supervisor import begin
from simulations.world import World

Nodes = Sequence[int]


@dataclass(frozen=True)
class Join(Operation):
    """These nodes start, one after another."""

    nodes: Nodes
    apart: float = 0.1

    def __call__(self, world: World) -> None:
        for place, index in enumerate(self.nodes):
            world.schedule(place * self.apart, begin, world, world.nodes[index])


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
        begin(world, node)


@dataclass(frozen=True)
class SaveDisk(Operation):
    """Keep an image of its disk, for a later ``Start(disk="saved")``."""

    node: int

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        saved: Disk = node.disk.snapshot(world.now)
        world.saved_disks[node.index] = saved


SmallFile = Literal["identity", "keyring", "peers", "registers"]
SMALL_FILES: tuple[SmallFile, ...] = get_args(SmallFile)


@dataclass(frozen=True)
class Damage(Operation):
    """A disk that lies: of a file that was being written when the power went, or of any, nothing
    is left that could be read."""

    node: int
    file: SmallFile

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if not node.running:
            node.disk.files()[self.file].damaged = True


@dataclass(frozen=True)
class FillDisk(Operation):
    """There is no room for small files any more; ``False`` makes some."""

    node: int
    full: bool = True

    def __call__(self, world: World) -> None:
        if world.nodes[self.node].disk.fill(world.now, full=self.full):
            world.happened("write_failed")


@dataclass(frozen=True)
class SlowDisk(Operation):
    """A write of a small file takes so long from now on: a crash may come in the middle."""

    node: int
    seconds: float

    def __call__(self, world: World) -> None:
        world.nodes[self.node].disk.slow_down(self.seconds, world.now)


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
        world.happened("restarted_all")
        for place, node in enumerate([node for node in world.nodes if node.running]):
            node.crash()
            world.schedule(place * self.apart, begin, world, node)


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
        world.happened("swapped")
        world.swap_addresses(*pair)
        for node in pair:
            begin(world, node)


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
        generation = node.generation - (self.same_generation and node.running)
        double.disk.say(node.id, generation)
        if node.running:
            world.happened("doubled")
        begin(world, double)
        world.schedule(self.seconds, _power_off, double)


@dataclass(frozen=True)
class Stranger(Operation):
    """A machine of another cluster starts that looks for its members among ours: somebody has
    mistaken the seeds. It ends after a while."""

    seconds: float

    def __call__(self, world: World) -> None:
        stranger = world.add_node(cluster="another")
        begin(world, stranger)
        world.schedule(self.seconds, _power_off, stranger)


@dataclass(frozen=True)
class StepWallClock(Operation):
    """Its wall clock jumps. The core knows none, so nothing must come of it."""

    node: int
    seconds: float

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        node.wall_offset += self.seconds
        if node.running:
            world.happened("wall_clock_stepped")


def _power_off(node: Node) -> None:
    node.retired = True
    if node.running:
        node.silence()
