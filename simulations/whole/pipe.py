"""One direction of the channel between an agent and its worker: bytes in order, some time later."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulations.whole.world import WholeWorld

_FULL_BYTES = 64 * 1024
"""Above this the writer is asked to wait; below a quarter of it, to go on."""


class Pipe:
    """Satisfies ``asyncio.WriteTransport`` as far as ``node.agent.worker`` writes to it."""

    def __init__(self, world: "WholeWorld", deliver: Callable[[bytes], None]) -> None:
        self._world = world
        self._deliver = deliver
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._arriving = self._full = self._closed = False
        self.seconds = 0.000_05
        """How long what is written takes."""
        self.on_full: Callable[[bool], None] = lambda full: None

    def write(self, data: bytes) -> None:
        if self._closed:
            return
        self._waiting.append(data)
        self._bytes += len(data)
        if not self._full and self._bytes > _FULL_BYTES:
            self._full = True
            self.on_full(True)
        if not self._arriving:
            self._arriving = True
            self._world.schedule(self.seconds, self._arrive)

    def get_write_buffer_size(self) -> int:
        return self._bytes

    def close(self) -> None:
        """Nothing arrives any more: one of the two is gone."""
        self._closed = True
        self._waiting.clear()

    def _arrive(self) -> None:
        self._arriving = False
        while self._waiting:
            data = self._waiting.popleft()
            self._bytes -= len(data)
            self._deliver(data)
        if self._full and self._bytes < _FULL_BYTES // 4 and not self._closed:
            self._full = False
            self.on_full(False)
