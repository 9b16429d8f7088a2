"""The state hash: 32 bytes by which two replicas know whether they hold the same (DESIGN 5).

LtHash (Bellare and Micciancio's homomorphic hash over vectors; Lewi, Kim, Maykov, Weis, "Securing
Update Propagation with Homomorphic Hashing", 2019), with blake3 as its extendable output:

    element(kind, id, text) = 2,048 bytes of blake3(p(kind) || p(id) || p(blake3(text)))
    p(x) = length of x in bytes as 4 bytes, little-endian, then x (kind and id in UTF-8)
    sum of a state = 1,024 lanes of 16 bits, little-endian, each added modulo 2^16
    state hash = blake3(the 2,048 bytes of the sum)

An entity that comes adds its element, one that goes subtracts it, so the hash costs what changed,
and whatever the order, the same entities give the same hash. ``text`` is what the authority stored,
byte by byte. tests/store/state_hash.json has vectors.
"""

import struct
from typing import NamedTuple

from blake3 import blake3

LANES = 1_024
SUM_BYTES = 2 * LANES

# All lanes are added in four operations on large integers. Every second lane is blanked out, so
# that the bits above each of the others take up its carry; even and odd lanes are kept apart.
_EVEN = int.from_bytes(b"\xff\xff\x00\x00" * (LANES // 2), "little")
_ODD = _EVEN << 16
_EVEN_BORROW = int.from_bytes(b"\x00\x00\x01\x00" * (LANES // 2), "little")
_ODD_BORROW = _EVEN_BORROW << 16
"""2^16 above each lane: what a subtraction takes from, and the modulus at the same time."""

_LENGTH = struct.Struct("<I")


class Element(NamedTuple):
    """What one entity adds to the sum: its even lanes and its odd ones."""

    even: int
    odd: int


def identify(kind: str, entity_id: str, text: bytes) -> bytes:
    """What is hashed of an entity: p(kind) || p(id) || p(blake3(text)).

    Raises ValueError (UnicodeEncodeError) for a kind or id that isn't UTF-8.
    """
    parts = (kind.encode(), entity_id.encode(), blake3(text).digest())
    return b"".join([piece for part in parts for piece in (_LENGTH.pack(len(part)), part)])


def element(message: bytes) -> Element:
    """What the entity adds that ``identify`` gave this for."""
    lanes = int.from_bytes(blake3(message).digest(length=SUM_BYTES), "little")
    return Element(lanes & _EVEN, lanes & _ODD)


class StateSum:
    """The sum of a multiset of elements, which changes element by element."""

    __slots__ = ("_even", "_odd")

    def __init__(self) -> None:
        self._even = 0
        self._odd = 0

    def copy(self) -> "StateSum":
        """The same, to be changed apart from this."""
        copied = StateSum()
        copied._even, copied._odd = self._even, self._odd
        return copied

    def add(self, came: Element) -> None:
        self._even = self._even + came.even & _EVEN
        self._odd = self._odd + came.odd & _ODD

    def subtract(self, gone: Element) -> None:
        self._even = self._even + _EVEN_BORROW - gone.even & _EVEN
        self._odd = self._odd + _ODD_BORROW - gone.odd & _ODD

    def lanes(self) -> bytes:
        """The 2,048 bytes of the sum."""
        return (self._even | self._odd).to_bytes(SUM_BYTES, "little")

    def digest(self) -> bytes:
        """The state hash (32 bytes)."""
        return blake3(self.lanes()).digest()
