"""A simulated machine: where it is, what its clocks show, its disk, and its kernel."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gossip.address import Address
from simulations.disk import Disk

if TYPE_CHECKING:
    from simulations.world import World

KERNEL_BUFFER_PACKETS = 256
"""Packets that a kernel keeps for a process that doesn't read: Linux' 212,992 bytes hold about so
many small ones."""

Arrival = tuple[Callable[..., None], tuple[Any, ...]]
"""How a process receives something, and what."""


class Unread:
    """What the kernel holds for a process that stands still. Its buffer for packets may overflow;
    streams wait."""

    def __init__(self, packets_max: int) -> None:
        self._packets_max = packets_max
        self._waiting: deque[Arrival] = deque()
        self.lost = 0
        """Packets for which there was no room."""

    def packet(self, receive: Callable[..., None], *arguments: Any) -> None:
        if len(self._waiting) < self._packets_max:
            self._waiting.append((receive, arguments))
        else:
            self.lost += 1

    def segment(self, receive: Callable[..., None], *arguments: Any) -> None:
        self._waiting.append((receive, arguments))

    def drain(self) -> list[Arrival]:
        """All of it, oldest first."""
        return list(self._waiting)


class Machine:
    """One machine. It outlives the processes that run on it."""

    def __init__(self, world: "World", index: int, disk: Disk) -> None:
        self._world = world
        self.index = index
        self.zone = ""
        self.address: Address = (f"10.0.{index // 250}.{index % 250 + 1}", 8005)
        self.source = self.address
        """Where its packets seem to come from: another address behind a NAT."""
        self.disk = disk
        self.power = True
        """Without it the machine says nothing at all."""
        self.clock_offset = 0.0
        self.clock_rate = 1.0
        """Its monotonic clock shows ``offset + rate * world time``."""
        self.wall_offset = 0.0
        """What its wall clock is wrong by. The core never sees one."""
        self._now = 0.0

    def now(self) -> float:
        """Its monotonic clock."""
        local = self.clock_offset + self.clock_rate * self._world.clock.now
        if local > self._now:
            self._now = local
        return self._now

    def world_time(self, local: float) -> float:
        """When its clock shows so much."""
        return (local - self.clock_offset) / self.clock_rate

    def reach(self, at: float) -> None:
        """The time of the world is ``at``: what it is by this clock is past. There and back again
        may have rounded it into the future."""
        self._now = max(self.now(), self.clock_offset + self.clock_rate * at + 1e-9)

    def answers(self) -> bool:
        """Whether its kernel says that a port is closed, and that is heard."""
        hidden = self.index in self._world.network.hides_refusals
        if self.power and hidden:
            self._world.happened("refusals_hidden")
        return self.power and not hidden
