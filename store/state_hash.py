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
from functools import lru_cache

from blake3 import blake3

LANES = 1_024
SUM_BYTES = 2 * LANES

# All lanes are added at once, as large integers. Every second lane is blanked out, so that the bits
# above each of the others take up its carries: those of so many additions that they are cut off
# only now and then. Of the other lanes no sum is kept: they are what all lanes come to without the
# former, which spares masking and adding them for each element.
_EVEN = int.from_bytes(b"\xff\xff\x00\x00" * (LANES // 2), "little")
_ODD = _EVEN << 16
_EVEN_BORROW = int.from_bytes(b"\x00\x00\x01\x00" * (LANES // 2), "little")
_BORROW = _EVEN_BORROW + (_EVEN_BORROW << 16)
"""2^16 above each lane: what a subtraction takes from, and the modulus at the same time."""
_UNCUT_MAX = 2**16 - 2
"""Additions of at most 2^16 for which a lane and the one above it have room."""

_LENGTH = struct.Struct("<I")
_DIGEST_LENGTH = _LENGTH.pack(32)


def identify(kind: str, entity_id: str, text: bytes) -> bytes:
    """What is hashed of an entity: p(kind) || p(id) || p(blake3(text)).

    Raises ValueError (UnicodeEncodeError) for a kind or id that isn't UTF-8.
    """
    key = entity_id.encode()
    return _before_id(kind, len(key)) + key + _DIGEST_LENGTH + blake3(text).digest()


@lru_cache(maxsize=256)
def _before_id(kind: str, id_bytes: int) -> bytes:
    """The same for most entities of a kind."""
    name = kind.encode()
    return _LENGTH.pack(len(name)) + name + _LENGTH.pack(id_bytes)


def element(message: bytes) -> int:
    """What the entity adds that ``identify`` gave this for: its lanes, as one little-endian
    integer."""
    return int.from_bytes(blake3(message).digest(length=SUM_BYTES), "little")


class StateSum:
    """The sum of a multiset of elements, which changes element by element."""

    __slots__ = ("_all", "_even", "_uncut")

    def __init__(self) -> None:
        self._all = 0
        """The sum of all lanes as they are, carries included."""
        self._even = 0
        """That of every second lane."""
        self._uncut = 0
        """Additions since the carries were cut off."""

    def copy(self) -> "StateSum":
        """The same, to be changed apart from this."""
        copied = StateSum()
        copied._all, copied._even, copied._uncut = self._all, self._even, self._uncut
        return copied

    def add(self, came: int) -> None:
        """Add an element."""
        self._add(came, came & _EVEN)

    def subtract(self, gone: int) -> None:
        """Take an element away that was added."""
        even = gone & _EVEN
        self._add(_BORROW - gone, _EVEN_BORROW - even)

    def _add(self, lanes: int, even: int) -> None:
        self._all += lanes
        self._even += even
        self._uncut += 1
        if self._uncut == _UNCUT_MAX:
            self._cut()

    def _cut(self) -> None:
        """Cut the carries off: sums are modulo 2^16."""
        odd = self._all - self._even & _ODD
        self._even &= _EVEN
        self._all = self._even | odd
        self._uncut = 0

    def lanes(self) -> bytes:
        """The 2,048 bytes of the sum."""
        if self._uncut:
            self._cut()
        return self._all.to_bytes(SUM_BYTES, "little")

    def digest(self) -> bytes:
        """The state hash (32 bytes)."""
        return blake3(self.lanes()).digest()
