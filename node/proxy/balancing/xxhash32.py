"""xxHash32 with seed 0 (Collet, "xxHash fast digest algorithm", specification 0.1.1, XXH32).

Kong places targets and values on its hash ring with it; the same function keeps clients at the same
targets when a node of Kong's is replaced by one of ours. It is no protection against collisions
that somebody makes on purpose, in Kong neither.
"""

import struct

_P1 = 0x9E3779B1
_P2 = 0x85EBCA77
_P3 = 0xC2B2AE3D
_P4 = 0x27D4EB2F
_P5 = 0x165667B1
_M = 0xFFFFFFFF


def _round(lane: int, word: int) -> int:
    lane = (lane + word * _P2) & _M
    return ((lane << 13 | lane >> 19) * _P1) & _M


def xxhash32(data: bytes) -> int:
    """A hash of 32 bits."""
    size = len(data)
    striped = size & ~15
    if striped:
        a, b, c, d = (_P1 + _P2) & _M, _P2, 0, -_P1 & _M
        for w, x, y, z in struct.iter_unpack("<IIII", data[:striped]):
            a, b, c, d = _round(a, w), _round(b, x), _round(c, y), _round(d, z)
        h = (
            (a << 1 | a >> 31) + (b << 7 | b >> 25) + (c << 12 | c >> 20) + (d << 18 | d >> 14)
        ) & _M
    else:
        h = _P5
    h = (h + size) & _M
    worded = size & ~3
    for (word,) in struct.iter_unpack("<I", data[striped:worded]):
        h = (h + word * _P3) & _M
        h = ((h << 17 | h >> 15) * _P4) & _M
    for byte in data[worded:]:
        h = (h + byte * _P5) & _M
        h = ((h << 11 | h >> 21) * _P1) & _M
    h = ((h ^ h >> 15) * _P2) & _M
    h = ((h ^ h >> 13) * _P3) & _M
    return h ^ h >> 16
