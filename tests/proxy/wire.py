"""A connection without a peer, and a loop that is only a clock: for tests that drive protocols."""

import asyncio
from typing import Any


class Clock:
    """What the gateway takes for its loop."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


class Wire(asyncio.Transport):
    """One side of a connection, which keeps what is written."""

    def __init__(self, peer: str = "127.0.0.1") -> None:
        super().__init__()
        self.written = b""
        self.closed = self.eof = False
        self.unsent = 0
        """What the other side has yet to take, as far as is told."""
        self._peer = (peer, 1)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._peer if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
