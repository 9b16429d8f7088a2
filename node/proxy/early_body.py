"""What comes of a request's body before it is decided where it goes, or before it goes there."""

import asyncio
from collections.abc import Callable

from node.plugins.limits import BODY_BYTES_MAX
from node.proxy import limits
from node.proxy.buffering import Budget


class EarlyBody:
    """Pieces, which wait; and a plugin, and then the upstream, that may wait for all of them."""

    __slots__ = ("_budget", "_go_on", "_held", "_pieces", "_wanted", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray] = []
        """Small ones are gathered in the arrays."""
        self.size = 0
        """Bytes so far."""
        self._wanted: asyncio.Future[None] | None = None
        self._budget: Budget | None = None
        self._held = 0
        """Bytes taken from the budget."""
        self._go_on: Callable[[], None] | None = None

    def add(self, payload: bytes) -> bool:
        """Take the next piece; False when no more should be read for now."""
        self._append(payload)
        self.size += len(payload)
        if self._go_on is not None:
            if not self._hold():
                self._gathered()
            return True
        if self._wanted is None:
            return False
        if self.size > BODY_BYTES_MAX:
            self.complete()
            return False
        return True

    def _append(self, payload: bytes) -> None:
        if len(payload) >= limits.SMALL_PIECE_BYTES:
            self._pieces.append(payload)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += payload
        else:
            self._pieces.append(bytearray(payload))

    def complete(self) -> None:
        """No more will come, or be taken: whoever waits for it gets to know."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(None)
        self._gathered()

    async def wait(self) -> None:
        """Wait for that."""
        self._wanted = asyncio.get_running_loop().create_future()
        await self._wanted

    def gather(self, budget: Budget, go_on: Callable[[], None]) -> None:
        """Take all that comes; ``go_on`` is called once, when that is the whole body, or as much as
        may be held."""
        self._budget = budget
        self._go_on = go_on
        if not self._hold():
            self._gathered()

    def _hold(self) -> bool:
        """Whether the bytes so far may be held."""
        assert self._budget is not None
        if self.size > limits.REQUEST_BUFFER_BYTES_MAX or not self._budget.take(
            self.size - self._held
        ):
            return False
        self._held = self.size
        return True

    def _gathered(self) -> None:
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            go_on()

    def joined(self) -> bytes | None:
        """All of it; None when that is more than plugins may see."""
        return b"".join(self._pieces) if self.size <= BODY_BYTES_MAX else None

    def take(self) -> list[bytes]:
        """The pieces, which leave."""
        pieces, self._pieces = self._pieces, []
        return [bytes(piece) for piece in pieces]

    def let_go(self) -> None:
        """Nothing of it is needed any more: neither for another try, nor by anyone who waits."""
        self._go_on = None
        self._pieces = []
        if self._budget is not None:
            self._budget.give(self._held)
            self._held = 0
