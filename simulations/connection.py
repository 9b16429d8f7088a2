"""TCP between simulated nodes: in order, delayed by loss and cuts, ended by closing or by death.

What tells a closed port from a silent machine is here: a kernel whose process is gone refuses and
resets, a machine without power says nothing, and a firewall may swallow what a kernel says.
"""

from collections import deque
from typing import TYPE_CHECKING

from gossip.address import Address

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

_SYN_RETRIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Waits before a connect is tried again (Linux, tcp_syn_retries)."""
_BACKOFF_MIN, _BACKOFF_MAX = 0.2, 5.0
_GIVE_UP_SECONDS = 120.0
"""After so long without an acknowledgement a kernel gives a connection up."""


class _End:
    """One side: whose it is, in which life, and what it has written that isn't there yet."""

    __slots__ = ("busy_until", "life", "node", "open", "stream", "waiting")

    def __init__(self, node: "Node", stream: int) -> None:
        self.node = node
        self.life = node.life
        self.stream = stream
        self.open = True
        self.waiting: deque[tuple[float, bytes | None]] = deque()
        """(when it is there at the earliest, a frame, or None for the end)."""
        self.busy_until = 0.0

    def died(self) -> bool:
        """Whether the process that held this end is gone."""
        return not self.node.running or self.node.life != self.life


class Connection:
    """One connection, from its first SYN on."""

    def __init__(self, world: "World", opener: "Node", stream: int, address: Address) -> None:
        self._world = world
        self._address = address
        self._ends: list[_End] = [_End(opener, stream)]

    def connect(self, frame: bytes, attempt: int = 0) -> None:
        """Send a SYN; with the handshake goes the first frame."""
        opener = self._ends[0]
        if opener.died() or not opener.open:
            return
        world, network = self._world, self._world.network
        target = world.at_address(self._address)
        if target is not None and target.power:
            here, there = opener.node.index, target.index
            if network.passes(here, there, "tcp") and network.passes(there, here, "tcp"):
                now = world.now
                delay = network.segment(here, there, 0, now) + network.segment(there, here, 0, now)
                if not target.running:
                    if target.answers():
                        world.schedule(delay, self._refused)
                        return
                else:
                    delay += network.segment(here, there, len(frame), now)
                    world.schedule(delay, self._reached, target, target.life, frame)
                    return
        if attempt < len(_SYN_RETRIES):
            world.schedule(_SYN_RETRIES[attempt], self.connect, frame, attempt + 1)

    def send(self, node: "Node", stream: int, frame: bytes | None) -> None:
        """Write a frame, or None to close."""
        side = self._side(node, stream)
        if side is None:
            return
        end = self._ends[side]
        if frame is None:
            end.open = False
        if len(self._ends) == 1:
            return
        receiver = self._ends[1 - side].node
        now = self._world.now
        delay = self._world.network.segment(node.index, receiver.index, len(frame or b""), now)
        end.busy_until = max(end.busy_until, now + delay)
        end.waiting.append((end.busy_until, frame))
        if len(end.waiting) == 1:
            self._world.schedule(end.busy_until - now, self._arrive, side, now)

    def far_end(self, node: "Node") -> "Node | None":
        """Who is at the other side."""
        return next((end.node for end in self._ends if end.node is not node), None)

    def died(self, node: "Node", stream: int) -> None:
        """The process is gone, its kernel closes for it."""
        self.send(node, stream, None)

    def _side(self, node: "Node", stream: int) -> int | None:
        for side, end in enumerate(self._ends):
            if end.node is node and end.stream == stream and end.open:
                return side
        return None

    def _refused(self) -> None:
        end = self._ends[0]
        if not end.died() and end.open:
            end.open = False
            end.node.stream_closed(end.stream, refused=True)

    def _reached(self, target: "Node", life: int, frame: bytes) -> None:
        """The acceptor's kernel has the handshake and the first frame."""
        opener = self._ends[0]
        if not target.power:
            return
        if not target.running or target.life != life:
            if target.answers():
                self._refused()
            return
        stream = target.stream_offered()
        acceptor = _End(target, stream)
        self._ends.append(acceptor)
        if opener.died() or not opener.open:
            # Closed meanwhile: the acceptor sees a connection that ends.
            acceptor.open = False
            return
        target.stream_accepted(stream, self, opener.node.source)
        target.frame_received(stream, frame)

    def _arrive(self, side: int, since: float, attempt: int = 0) -> None:
        """The oldest item that this side wrote is due at the other."""
        world, end, other = self._world, self._ends[side], self._ends[1 - side]
        if not end.waiting:
            return
        here, there = end.node.index, other.node.index
        through = world.network.passes(here, there, "tcp") and world.network.passes(
            there, here, "tcp"
        )
        if not through or not other.node.power or not end.node.power:
            if world.now - since < _GIVE_UP_SECONDS:
                wait = min(_BACKOFF_MIN * 2**attempt, _BACKOFF_MAX)
                world.schedule(wait, self._arrive, side, since, attempt + 1)
            else:
                self._end(side, refused=False)
            return
        if other.died():
            self._end(side, refused=other.node.answers())
            return
        _, item = end.waiting.popleft()
        if item is None:
            if other.open:
                other.open = False
                other.node.stream_closed(other.stream, refused=end.died())
        elif other.open:
            other.node.frame_received(other.stream, item)
        if end.waiting:
            due = max(0.0, end.waiting[0][0] - world.now)
            world.schedule(due, self._arrive, side, world.now)

    def _end(self, side: int, *, refused: bool) -> None:
        """This side's kernel gave it up, or was told that nobody is there."""
        end = self._ends[side]
        end.waiting.clear()
        if not end.died() and end.open:
            end.open = False
            end.node.stream_closed(end.stream, refused=refused)
