"""Sketches: how two replicas find what differs between them, in bytes that grow with what differs.

A rateless invertible Bloom lookup table (Yang, Gilad, Alizadeh, "Practical Rateless Set
Reconciliation", SIGCOMM 2024). Every entity is an item of 16 bytes. A set has an endless row of
coded symbols, each the XOR of those of its items that map to it; the first holds all of them, the
i-th each with a chance of 1 / (1 + i/2). The difference of two sets' symbols is the symbols of
their difference, and 1.35 to 1.72 symbols for each item that differs are enough to read them all.
So a sketch of a million entities and one of a hundred are of the same size, the same symbols serve
every peer, and an entity touches a dozen of the first 512.

    item = first 16 bytes of blake3(p(kind) || p(id) || p(blake3(text))), keyed with
           blake3(authority id); p is that of the state hash
    check, seed = bytes 0 to 7 and 8 to 15 of blake3(item)
    symbol, 26 bytes = number of items modulo 2^16, little-endian; XOR of the items; of their checks
    an item's symbols: 0, then from i on ceil((i + 1.5) (1 / sqrt(1 - r) - 1)) further, at least 1,
           in IEEE 754 doubles, where r is the upper 53 bits of s divided by 2^53, and each time
           s = s * 6364136223846793005 + 1442695040888963407 modulo 2^64, at first the seed,
           little-endian

Nothing here is trusted: what a decoder reads leads to entities whose state hash is checked.
"""

import struct
from collections.abc import Iterator
from math import ceil, sqrt
from typing import NamedTuple

from blake3 import blake3

ITEM_BYTES = 16
CHECK_BYTES = 8
_SEED_BYTES = 8
_XOR_BYTES = ITEM_BYTES + CHECK_BYTES
_COUNT = struct.Struct("<H")
SYMBOL_BYTES = _COUNT.size + _XOR_BYTES
_COUNT_MASK = 0xFFFF

_MULTIPLIER = 6364136223846793005
_INCREMENT = 1442695040888963407
_WORD = 2**64 - 1
_FRACTION = 2.0**-53


def sketch_key(authority_id: str) -> bytes:
    """What the items of an authority's entities are keyed with."""
    return blake3(authority_id.encode()).digest()


def item_of(key: bytes, message: bytes) -> bytes:
    """The item of the entity that ``identify`` gave this message for."""
    return blake3(message, key=key).digest(length=ITEM_BYTES)


class Coded(NamedTuple):
    """An item as symbols hold it."""

    bits: int
    """The item and its check, which are added to its symbols."""
    seed: int
    """Which these are."""

    def symbols(self, begin: int, end: int) -> Iterator[int]:
        """Those from ``begin`` up to ``end``, in order."""
        index, state = 0, self.seed
        while index < end:
            if index >= begin:
                yield index
            state = state * _MULTIPLIER + _INCREMENT & _WORD
            gap = ceil((index + 1.5) * (1.0 / sqrt(1.0 - (state >> 11) * _FRACTION) - 1.0))
            index += gap or 1


def code(item: bytes) -> Coded:
    """Where an item goes, and as what."""
    digest = blake3(item).digest(length=CHECK_BYTES + _SEED_BYTES)
    bits = int.from_bytes(item + digest[:CHECK_BYTES], "little")
    return Coded(bits, int.from_bytes(digest[CHECK_BYTES:], "little"))


class Sketch:
    """The symbols from ``begin`` up to ``end`` of a set that changes item by item."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin = begin
        self.end = end
        self._xors = [0] * (end - begin)
        self._counts = [0] * (end - begin)

    def add(self, item: bytes) -> None:
        """Add an item that isn't in the set."""
        self._change(item, 1)

    def remove(self, item: bytes) -> None:
        """Remove an item that is in the set."""
        self._change(item, -1)

    def encode(self, begin: int, end: int) -> bytes:
        """Some of its symbols, SYMBOL_BYTES each."""
        assert self.begin <= begin <= end <= self.end, "of the symbols that are kept"
        chosen = range(begin - self.begin, end - self.begin)
        return b"".join(
            _COUNT.pack(self._counts[at] & _COUNT_MASK)
            + self._xors[at].to_bytes(_XOR_BYTES, "little")
            for at in chosen
        )

    def _change(self, item: bytes, sign: int) -> None:
        coded, xors, counts, begin = code(item), self._xors, self._counts, self.begin
        for index in coded.symbols(begin, self.end):
            xors[index - begin] ^= coded.bits
            counts[index - begin] += sign
