"""A request's body on its way to the upstream.

Until the request goes there, what comes of its body waits (``node.proxy.early_body``). From then on
pieces are framed for the upstream; the first of them are kept, up to a bound, for a connection to
come and for a try that has to be repeated.
"""

from node.proxy import limits
from node.proxy.early_body import EarlyBody
from node.proxy.response import LAST_CHUNK, chunk


class RequestBody:
    """The body of one request."""

    __slots__ = ("_kept_size", "chunked", "early", "kept", "received", "replay_max")

    def __init__(self, chunked: bool) -> None:
        self.chunked = chunked
        """How the upstream gets it."""
        self.received = 0
        """Bytes of payload."""
        self.early = EarlyBody()
        self.kept: list[bytes] | None = []
        """All that was framed; None when that has become too much to keep."""
        self._kept_size = 0
        self.replay_max = limits.REPLAY_BYTES_MAX
        """How much may be kept once it has been sent."""

    def replace(self, data: bytes) -> None:
        """A plugin has put this in place of all of it."""
        self.early.take()
        if data:
            self.keep(data)

    def begin(self, complete: bool) -> None:
        """Frame and keep what has waited; ``complete``: no more will come."""
        for payload in self.early.take():
            self.keep(self.frame(payload))
        if complete and self.chunked:
            self.keep(LAST_CHUNK)

    def frame(self, payload: bytes) -> bytes:
        """A piece as the upstream gets it."""
        return chunk(payload) if self.chunked else payload

    def keep(self, data: bytes) -> None:
        """Keep what was framed."""
        if self.kept is not None:
            self.kept.append(data)
            self._kept_size += len(data)
            if len(self.kept) > limits.REPLAY_PIECES_MAX:
                self.kept = [b"".join(self.kept)]

    def sent(self) -> None:
        """What is kept has been sent: it is kept on only if it isn't too much."""
        if self._kept_size > self.replay_max:
            self.let_go()

    def let_go(self) -> None:
        """No other try will be made."""
        self.kept = None
        self.early.let_go()
