"""A packet between nodes is refused with a counted reason, or read: then what was read is within
bounds, and written again it reads the same."""

from gossip.counters import MEANINGS
from gossip.limits import HEADER_BYTES, PACKET_PARTS_MAX
from gossip.wire import (
    Parts,
    Rejected,
    decode_header,
    decode_parts,
    encode_header,
    encode_part,
    encode_parts,
    pad,
)
from tests.fuzz.messages import EVERY
from tests.fuzz.target import Target
from tests.gossip.drive import packet


def attack(data: bytes) -> None:
    """A header, and parts; the parts are read even where the header is none."""
    try:
        header = decode_header(data)
    except Rejected as rejected:
        assert rejected.reason in MEANINGS
    else:
        written = encode_header(
            header.form, header.cluster, header.sender, header.receiver, header.versions
        )
        assert written == data[:HEADER_BYTES]
    try:
        parts = decode_parts(data[HEADER_BYTES:], PACKET_PARTS_MAX)
    except Rejected as rejected:
        assert rejected.reason in MEANINGS
    else:
        _read_again(parts)


def _read_again(parts: Parts) -> None:
    assert len(parts.messages) + parts.unknown + parts.malformed <= PACKET_PARTS_MAX
    for message in parts.messages:
        assert decode_parts(encode_part(message), 1).messages == (message,)
    whole = pad(encode_parts(parts.messages), 200)
    again = decode_parts(whole, PACKET_PARTS_MAX + 1)
    assert again.messages == parts.messages
    assert (again.unknown, again.malformed) == (0, 0)


TARGET = Target(
    attack,
    seeds=[packet(2, message) for message in EVERY]
    + [packet(2, *EVERY[:4]), packet(2, *EVERY[7:12]) + b"\xf0\x01\x90"],
    words=[b"GV\0\x11", b"\xff\0\0\0\x40", b"\xc4\x10", b"\xc4\x20", b"\xcb\x7f\xf8\0\0\0\0\0\0"],
)
