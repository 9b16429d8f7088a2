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


_STRIPE = struct.Struct("<IIII")
_WORD = struct.Struct("<I")


def xxhash32(data: bytes) -> int:
    """A hash of 32 bits."""
    # Written out, as a ring takes thousands of these while requests wait.
    size = len(data)
    at = 0
    if size < 16:
        h = _P5 + size
    else:
        a, b, c, d = _P1 + _P2 & _M, _P2, 0, -_P1 & _M
        while at <= size - 16:
            w, x, y, z = _STRIPE.unpack_from(data, at)
            a = a + w * _P2 & _M
            a = (a << 13 | a >> 19) * _P1 & _M
            b = b + x * _P2 & _M
            b = (b << 13 | b >> 19) * _P1 & _M
            c = c + y * _P2 & _M
            c = (c << 13 | c >> 19) * _P1 & _M
            d = d + z * _P2 & _M
            d = (d << 13 | d >> 19) * _P1 & _M
            at += 16
        h = (a << 1 & _M | a >> 31) + (b << 7 & _M | b >> 25)
        h += (c << 12 & _M | c >> 20) + (d << 18 & _M | d >> 14) + size
    while at <= size - 4:
        h = h + _WORD.unpack_from(data, at)[0] * _P3 & _M
        h = (h << 17 | h >> 15) * _P4 & _M
        at += 4
    for byte in data[at:]:
        h = h + byte * _P5 & _M
        h = (h << 11 | h >> 21) * _P1 & _M
    h &= _M
    h = (h ^ h >> 15) * _P2 & _M
    h = (h ^ h >> 13) * _P3 & _M
    return h ^ h >> 16
