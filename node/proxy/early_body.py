"""What comes of a request's body before it is decided where it goes."""

import asyncio

from node.plugins.limits import BODY_BYTES_MAX


class EarlyBody:
    """Pieces, which wait; and a plugin that may wait for all of them."""

    __slots__ = ("_pieces", "_size", "_wanted")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted: asyncio.Future[None] | None = None

    def add(self, payload: bytes) -> bool:
        """Take the next piece; False when no more should be read for now."""
        self._pieces.append(payload)
        self._size += len(payload)
        if self._wanted is None:
            return False
        if self._size > BODY_BYTES_MAX:
            self.complete()
            return False
        return True

    def complete(self) -> None:
        """No more will come, or be taken: whoever waits for it gets to know."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(None)

    async def wait(self) -> None:
        """Wait for that."""
        self._wanted = asyncio.get_running_loop().create_future()
        await self._wanted

    def joined(self) -> bytes | None:
        """All of it; None when that is more than plugins may see."""
        return b"".join(self._pieces) if self._size <= BODY_BYTES_MAX else None

    def take(self) -> list[bytes]:
        """The pieces, which leave."""
        pieces, self._pieces = self._pieces, []
        return pieces
