"""A stream between nodes, in clear, from whoever can connect: in whatever pieces it arrives it is
cut into the same frames; what the node then holds is bounded, what it knows of members doesn't go
back, and what it answers can be read."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from gossip import limits
from gossip.frames import FRAME_LENGTH, Frames, TooLarge
from gossip.messages import Message
from gossip.wire import CLEAR, cluster_digest, decode_header, decode_parts, encode_header
from tests.fuzz.cutting import pieces, planned
from tests.fuzz.messages import EVERY
from tests.fuzz.target import Target
from tests.gossip.drive import CLUSTER, Driver, packet, wire
from tests.gossip.hostile import Program, Victim

SIZE_MAX = limits.REQUEST_FRAME_BYTES_MAX
HEADERS = [
    encode_header(CLEAR, cluster_digest(CLUSTER), wire(number), wire(1)) for number in (2, 3, 8)
]


class Outcome(NamedTuple):
    """What came of a stream."""

    frames: list[bytes]
    too_large: bool
    left: int
    """Bytes that wait for more."""


def attack(data: bytes) -> None:
    """A plan of pieces, then frames: some in a header's envelope, some as they are."""
    plan, rest = planned(data)
    stream = _stream(Program(rest))
    found = _cut([stream])
    assert found == _cut(pieces(plan, stream))
    assert found.left <= FRAME_LENGTH.size + SIZE_MAX
    whole = b"".join(FRAME_LENGTH.pack(len(frame)) + frame for frame in found.frames)
    assert stream.startswith(whole)
    _tell(found.frames)


def _stream(program: Program) -> bytes:
    stream = b""
    while program:
        step = program.number(8)
        if step == 0:
            stream += program.take(program.number(16))
            continue
        frame = program.take(program.number(256))
        if step != 1:
            frame = HEADERS[step % len(HEADERS)] + frame
        stream += FRAME_LENGTH.pack(len(frame)) + frame
    return stream


def _cut(arriving: Iterable[bytes]) -> Outcome:
    frames, found, held = Frames(SIZE_MAX), list[bytes](), 0
    try:
        for piece in arriving:
            frames.feed(piece)
            held = max(held, len(frames))
            while (frame := frames.next()) is not None:
                assert len(frame) <= SIZE_MAX
                found.append(frame)
    except TooLarge:
        return Outcome(found, True, 0)
    return Outcome(found, False, len(frames))


def _tell(frames: list[bytes]) -> None:
    """To a node that knows two others; half of them as packets, too."""
    driver = Driver()
    driver.meet(2, 3)
    victim = Victim(driver.core, driver.now)
    before = {row[0]: row[2:] for row in victim.table()}
    stream = victim.accept()
    for number, frame in enumerate(frames[:8]):
        victim.frame(stream, frame)
        if number % 2:
            victim.packet(frame)
        victim.now += 0.05
        victim.core.advance(victim.now)
    victim.assert_bounded()
    for member_id, _, *precedence in victim.table():
        assert tuple(precedence) >= before.get(member_id, (0, 0)), "no record moves backwards"
    for sent in victim.sent:
        decode_header(sent)
        parts = decode_parts(sent[limits.HEADER_BYTES :], limits.FRAME_PARTS_MAX)
        assert (parts.unknown, parts.malformed) == (0, 0)


def _seed(*messages: Message) -> bytes:
    body = packet(2, *messages)[limits.HEADER_BYTES :]
    return b"\2\1\3" + bytes([3, len(body)]) + body if len(body) < 256 else b"\0"


TARGET = Target(
    attack,
    seeds=[_seed(message) for message in EVERY]
    + [b"\0" + _seed(first)[3:] + _seed(second)[3:] for first, second in pairwise(EVERY)],
    words=[b"\0\0\0\x05", b"\0\x80\0\0", b"\0\x80\0\1", b"\xff\xff\xff\xff"],
    bytes_max=300,
)
