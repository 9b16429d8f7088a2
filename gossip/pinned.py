"""A snapshot that another node takes from this one, slice by slice."""

from collections.abc import Iterator
from typing import NamedTuple

from gossip.replica import Head


class NextSlice(NamedTuple):
    """A slice, and whether it is the last."""

    body: bytes
    last: bool


class PinnedSnapshot:
    """The whole state at one head, read once from front to back.

    One slice is held ready beyond those taken, to know which is the last.
    """

    def __init__(self, head: Head, slices: Iterator[bytes]) -> None:
        self.head = head
        self._slices = slices
        self._cursor = 0
        self._ready = next(slices, None)

    def take(self, cursor: int) -> NextSlice | None:
        """The slice of that number; None when it isn't the next one. Each is given once."""
        if cursor != self._cursor or self._ready is None:
            return None
        body, self._ready = self._ready, next(self._slices, None)
        self._cursor += 1
        return NextSlice(body, last=self._ready is None)
