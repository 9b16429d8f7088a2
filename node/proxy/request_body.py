"""A request's body on its way to the upstream: what waits, and what is kept for another try.

Until it is decided where a request goes, pieces of its body wait as they came (a plugin may read
them). From then on they are framed for the upstream; the first of them are kept, up to a bound,
for a connection to come and for a try that has to be repeated.
"""

import asyncio

from node.plugins.limits import BODY_BYTES_MAX
from node.proxy import limits
from node.proxy.response import LAST_CHUNK, chunk


class RequestBody:
    """The body of one request, of which all has come that there will be once ``complete``."""

    __slots__ = ("_chunked", "_early", "_early_size", "_kept_size", "_wanted", "kept", "received")

    def __init__(self, chunked: bool) -> None:
        self._chunked = chunked
        self.received = 0
        """Bytes of payload."""
        self._early: list[bytes] = []
        """Payload that waits for the decision."""
        self._early_size = 0
        self._wanted: asyncio.Future[None] | None = None
        self.kept: list[bytes] | None = []
        """All that was framed; None when that has become too much to keep."""
        self._kept_size = 0

    # Before it is decided where it goes

    def wait(self, payload: bytes) -> bool:
        """Take the next piece; False when no more should be read for now."""
        self._early.append(payload)
        self._early_size += len(payload)
        if self._wanted is None:
            return False
        if self._early_size > BODY_BYTES_MAX:
            self.complete()
            return False
        return True

    def complete(self) -> None:
        """No more will come, or be taken: whoever waits for it gets to know."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(None)

    async def until_complete(self) -> None:
        """Wait for that."""
        self._wanted = asyncio.get_running_loop().create_future()
        await self._wanted

    def joined(self) -> bytes | None:
        """All that waits; None when that is more than plugins may see."""
        return b"".join(self._early) if self._early_size <= BODY_BYTES_MAX else None

    def replace(self, data: bytes) -> None:
        """A plugin has put this in place of all of it."""
        self._early, self._chunked = [data] if data else [], False

    def framed(self, complete: bool) -> bytes:
        """What has waited, as the upstream gets it."""
        early, self._early = self._early, []
        if self._chunked:
            early = [chunk(payload) for payload in early]
            if complete:
                early.append(LAST_CHUNK)
        return b"".join(early)

    # From then on

    def frame(self, payload: bytes) -> bytes:
        """A piece as the upstream gets it."""
        return chunk(payload) if self._chunked else payload

    @property
    def end(self) -> bytes:
        """What ends it there."""
        return LAST_CHUNK if self._chunked else b""

    def keep(self, data: bytes) -> None:
        """Keep what is sent for another try."""
        if self.kept is not None:
            self.kept.append(data)
            self._kept_size += len(data)

    def sent(self) -> None:
        """What is kept has been sent: it is kept on only if it isn't too much."""
        if self._kept_size > limits.REPLAY_BYTES_MAX:
            self.kept = None
