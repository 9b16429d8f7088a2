"""States of this node that others take, at one head each, for as long as somebody may go on there.

The first question pins the state of its moment; who asks soon after shares it, with all the work
that it has cost. A pin outlives the streams on which it is taken, so that what broke off goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gossip import limits
from gossip.replica import GENESIS, Giving, Head, Replica


@dataclass(slots=True, eq=False)
class Pin:
    """The whole state at one head."""

    head: Head
    giving: Giving
    used_at: float


class Pins:
    """A few of them; who has been left alone for longest goes first."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._by_head: dict[Head, Pin] = {}
        """The one that was used last is last."""

    def __len__(self) -> int:
        return len(self._by_head)

    def get(self, wanted: Head | None, now: float) -> Pin | None:
        """The state at a head, or that of now; None when it isn't to be had."""
        head = Head(*self._replica.head())
        pin = self._by_head.get(head if wanted is None else wanted)
        if pin is not None and self._replica.state_hash(pin.head.version) != pin.giving.state_hash:
            # What was held at that head isn't what is known to belong there: it was damaged.
            del self._by_head[pin.head]
            pin = None
        if pin is None:
            if head.version == GENESIS or wanted not in (None, head):
                return None
            pin = Pin(head, self._replica.give(), now)
            while len(self._by_head) >= limits.PINS_MAX:
                del self._by_head[next(iter(self._by_head))]
        self.use(pin, now)
        return pin

    def forget(self) -> None:
        """Let go of all."""
        self._by_head.clear()

    def use(self, pin: Pin, now: float) -> None:
        """Somebody has just asked for something of it."""
        pin.used_at = now
        self._by_head.pop(pin.head, None)
        self._by_head[pin.head] = pin

    def advance(self, now: float) -> None:
        """Let go of what nobody has asked for lately."""
        while (due := self.next_deadline()) is not None and due <= now:
            del self._by_head[next(iter(self._by_head))]

    def next_deadline(self) -> float | None:
        for pin in self._by_head.values():
            return pin.used_at + limits.PIN_SECONDS
        return None


class NextSlice(NamedTuple):
    """A slice, and whether it is the last."""

    body: bytes
    last: bool


class Taking:
    """A pinned state that one other node takes on one stream."""

    def __init__(self, pin: Pin) -> None:
        self.pin = pin
        self._slices: Iterator[bytes] | None = None
        self._cursor = 0
        self._ready: bytes | None = None
        """One slice is held ready beyond those taken, to know which is the last."""

    def begin(self, cursor: int, resume: bytes) -> None:
        """Slices are taken from this one on. Raises ValueError for a place that is none."""
        self._slices = self.pin.giving.slices(limits.SLICE_BYTES, resume)
        self._cursor = cursor
        self._ready = next(self._slices, None)

    def is_end(self, cursor: int) -> bool:
        """Whether that is what would follow the last one, which was given."""
        return self._slices is not None and self._ready is None and cursor == self._cursor

    def take(self, cursor: int) -> NextSlice | None:
        """The slice of that number; None when it isn't the next one. Each is given once."""
        if cursor != self._cursor or self._ready is None or self._slices is None:
            return None
        body, self._ready = self._ready, next(self._slices, None)
        self._cursor += 1
        return NextSlice(body, last=self._ready is None)
