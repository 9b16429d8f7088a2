"""Software of several versions: a newer one, as an older one sees it.

There is one version of the protocol so far, so the newer ones are today's core between two layers
of here: what it sends carries, where that is in clear, a message of a kind and a field in every
message that the older one doesn't know; what it receives is rid of them. The versions that it says
it speaks are a setting of the core, and are told sealed, too.
"""

from typing import NamedTuple

import msgpack

from gossip.limits import HEADER_BYTES, PACKET_BYTES_MAX, PART_FIELDS_MAX
from gossip.messages import is_known
from gossip.wire import CLEAR, Versions

_FORM_AT = 2
_LONG = 255
"""In a part's length byte: it is a long part, which is left as it is."""
_NEW_KIND = 200
_NEW_FIELD = {"since": 2}
_NEW_FIELDS = ["what older ones skip", {"since": [2, None]}]
assert not is_known(_NEW_KIND)


class Software(NamedTuple):
    """What is installed on a node."""

    version: str
    versions: Versions

    @property
    def is_new(self) -> bool:
        """Whether it says more than the first version."""
        return self.versions.highest > 1

    def outgoing(self, data: bytes, size_max: int | None = None) -> bytes:
        """What leaves the machine for a packet or a frame of the core."""
        if not self.is_new or data[_FORM_AT] != CLEAR:
            return data
        parts = _parts(data)
        if parts is None:
            return data
        extended = data[:HEADER_BYTES] + b"".join(map(_extended, parts))
        extended += _part(_NEW_KIND, msgpack.packb(_NEW_FIELDS))
        return extended if size_max is None or len(extended) <= size_max else data

    def packet(self, data: bytes) -> bytes:
        """``outgoing`` for a packet, which must still fit."""
        return self.outgoing(data, PACKET_BYTES_MAX)

    def incoming(self, data: bytes) -> bytes:
        """What the core reads of a packet or a frame."""
        if not self.is_new or len(data) < HEADER_BYTES or data[_FORM_AT] != CLEAR:
            return data
        parts = _parts(data)
        if parts is None:
            return data
        return data[:HEADER_BYTES] + b"".join(part for part in parts if part[0] != _NEW_KIND)


FIRST = Software("1", Versions(1, 1))
NEXT = Software("2", Versions(1, 2))
"""Speaks both, for the time of an upgrade."""
LAST = Software("3", Versions(2, 2))
"""The first version is history."""


def _parts(data: bytes) -> list[bytes] | None:
    """The parts of an envelope in clear; None when they don't add up."""
    parts: list[bytes] = []
    offset = HEADER_BYTES
    while offset < len(data):
        if offset + 2 > len(data):
            return None
        end = offset + 2 + data[offset + 1]
        if data[offset + 1] == _LONG:
            end = offset + 6 + int.from_bytes(data[offset + 2 : offset + 6], "big")
        if end > len(data):
            return None
        parts.append(data[offset:end])
        offset = end
    return parts


def _extended(part: bytes) -> bytes:
    """A message with a field more."""
    if not is_known(part[0]) or part[1] == _LONG:
        return part
    fields = msgpack.unpackb(part[2:])
    packed = msgpack.packb([*fields, _NEW_FIELD])
    grown = len(fields) < PART_FIELDS_MAX and len(packed) < _LONG
    return _part(part[0], packed) if grown else part


def _part(kind: int, packed: bytes) -> bytes:
    return bytes((kind, len(packed))) + packed
