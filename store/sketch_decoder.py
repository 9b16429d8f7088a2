"""Reading what differs between two sets from their sketches (``store.sketch``).

A symbol of the difference that holds a single item shows it, by its check. The item is taken out of
all its symbols, which may leave others with a single one, and so on. Once the first symbol, which
holds every item, is empty, all were read.
"""

from typing import Literal

from store.limits import SKETCH_SYMBOLS_MAX
from store.sketch import CHECK_BYTES, ITEM_BYTES, SYMBOL_BYTES, code

_COUNT_BYTES = SYMBOL_BYTES - ITEM_BYTES - CHECK_BYTES
_COUNT_MASK = 0xFFFF

Progress = Literal["done", "peeling", "more", "hopeless"]
"""``done``: all that differs was read. ``peeling``: there is more to read in what has come.
``more``: further symbols are needed. ``hopeless``: they contradict themselves, or so many were in
vain that what differs is better found in another way."""


class Decoder:
    """Takes the symbols of two sets in order and tells what only one of them holds.

    Symbols come from a peer: whatever they are, this uses no more memory than SKETCH_SYMBOLS_MAX of
    them, and no more time than reading as many items takes.
    """

    def __init__(self) -> None:
        self.theirs: list[bytes] = []
        """Items that only the other set holds, as far as they were read."""
        self.ours: list[bytes] = []
        """Items that only our set holds."""
        self._xors: list[int] = []
        self._counts: list[int] = []
        self._read: dict[bytes, int] = {}
        """Items read so far: 1 for theirs, -1 for ours."""
        self._candidates: list[int] = []
        """Symbols that may hold a single item."""
        self._hopeless = False

    def __len__(self) -> int:
        """How many symbols have come."""
        return len(self._xors)

    def feed(self, theirs: bytes, ours: bytes) -> None:
        """Take the next symbols of both sets, encoded. Raises ValueError when one of the two isn't
        whole symbols, or not as many as the other."""
        if len(theirs) != len(ours) or len(theirs) % SYMBOL_BYTES:
            raise ValueError(f"{len(theirs)} and {len(ours)} bytes of symbols")
        begin = len(self)
        if begin + len(theirs) // SYMBOL_BYTES > SKETCH_SYMBOLS_MAX:
            self._hopeless = True
            return
        for at in range(0, len(theirs), SYMBOL_BYTES):
            count, xor = _symbol(theirs, at)
            our_count, our_xor = _symbol(ours, at)
            self._counts.append(count - our_count & _COUNT_MASK)
            self._xors.append(xor ^ our_xor)
        for item, sign in self._read.items():
            self._take_out(item, sign, begin)
        self._candidates += range(begin, len(self))

    def peel(self, items_max: int) -> Progress:
        """Read on, at most so many items."""
        peeled = 0
        while self._candidates and not self._hopeless:
            if peeled >= items_max:
                return "peeling"
            at = self._candidates.pop()
            item = self._single(at)
            if item is None:
                continue
            peeled += 1
            sign = 1 if self._counts[at] == 1 else -1
            if item in self._read or len(self._read) >= len(self):
                self._hopeless = True
                break
            self._read[item] = sign
            (self.theirs if sign == 1 else self.ours).append(item)
            self._candidates += self._take_out(item, sign, 0)
        if self._hopeless:
            return "hopeless"
        return "done" if self._xors and not (self._xors[0] or self._counts[0]) else "more"

    def _single(self, at: int) -> bytes | None:
        """The item that this symbol holds alone."""
        if self._counts[at] not in (1, _COUNT_MASK):
            return None
        bits = self._xors[at]
        item = bits.to_bytes(ITEM_BYTES + CHECK_BYTES, "little")[:ITEM_BYTES]
        coded = code(item)
        return item if coded.bits == bits and at in coded.symbols(at, at + 1) else None

    def _take_out(self, item: bytes, sign: int, begin: int) -> list[int]:
        """Take an item out of its symbols from ``begin`` on; which they were."""
        coded = code(item)
        touched = list(coded.symbols(begin, len(self)))
        for index in touched:
            self._xors[index] ^= coded.bits
            self._counts[index] = self._counts[index] - sign & _COUNT_MASK
        return touched


def _symbol(data: bytes, at: int) -> tuple[int, int]:
    xors = at + _COUNT_BYTES
    count = int.from_bytes(data[at:xors], "little")
    return count, int.from_bytes(data[xors : at + SYMBOL_BYTES], "little")
