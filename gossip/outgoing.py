"""What is on its way out on one stream: bounded, and given up when the peer doesn't read.

Nothing here waits: frames are handed to asyncio's buffer, of which each stream has its own, so a
peer that reads slowly delays nobody but itself. It must not hold our memory for long, either: in
every ``STREAM_STALL_SECONDS`` what was unsent, or ``STREAM_STALL_BYTES`` of it, must have left, or
the stream is cut. That goes on after the stream was closed here: closing waits for the buffer, and
would wait for ever.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

from gossip import limits
from gossip.frames import FRAME_LENGTH

CutOff = Literal["streams_cut_off", "streams_stalled"]
"""Too much unsent when more was to be written; too little taken in time."""


class Outgoing:
    """The sending side of one TCP connection. ``cut_off(reason)`` is told when it is given up."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        loop: asyncio.AbstractEventLoop,
        cut_off: Callable[[CutOff], None],
    ) -> None:
        self._writer = writer
        self._loop = loop
        self._cut_off = cut_off
        self._watch: asyncio.TimerHandle | None = None
        self._written = 0
        self._due = 0
        """How much of that must have left when the watch looks next."""

    @property
    def unsent(self) -> int:
        """Bytes that the kernel hasn't taken yet."""
        return self._writer.transport.get_write_buffer_size()

    def write(self, frame: bytes) -> None:
        """Send a frame, if it isn't given up yet; does nothing on one that is closing."""
        if self._writer.is_closing():
            return
        if self.unsent > limits.STREAM_BUFFER_BYTES_MAX:
            self.give_up("streams_cut_off")
            return
        self._writer.writelines((FRAME_LENGTH.pack(len(frame)), frame))
        self._written += FRAME_LENGTH.size + len(frame)
        self._look_later()

    def close(self) -> None:
        """Close after what is written has gone out."""
        self._writer.close()
        self._look_later()

    def abort(self) -> None:
        """Close now."""
        if self.unsent or not self._writer.is_closing():
            # asyncio's transport fails if it is aborted after its last byte and its end.
            self._writer.transport.abort()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look_later(self) -> None:
        unsent = self.unsent
        if self._watch is None and unsent:
            left = self._written - unsent
            self._due = left + min(unsent, limits.STREAM_STALL_BYTES)
            self._watch = self._loop.call_later(limits.STREAM_STALL_SECONDS, self._look)

    def _look(self) -> None:
        self._watch = None
        if self._written - self.unsent < self._due:
            self.give_up("streams_stalled")
        else:
            self._look_later()

    def give_up(self, reason: CutOff) -> None:
        """Close now, and count why."""
        self._cut_off(reason)
        self.abort()
