"""A stream is cut into the frames that were written to it, and never holds more than one."""

import pytest

from gossip.frames import FRAME_LENGTH, Frames, TooLarge

WRITTEN = [b"", b"a", b"bc" * 50]
STREAM = b"".join(FRAME_LENGTH.pack(len(frame)) + frame for frame in WRITTEN)


@pytest.mark.parametrize("size", [1, 3, 4, 5, len(STREAM)])
def test_frames_come_out_as_they_were_written_in_whatever_pieces(size: int) -> None:
    frames, found = Frames(100), list[bytes]()
    for at in range(0, len(STREAM), size):
        frames.feed(STREAM[at : at + size])
        while (frame := frames.next()) is not None:
            found.append(frame)
    assert found == WRITTEN
    assert len(frames) == 0


def test_a_frame_above_the_bound_is_refused_before_it_has_come() -> None:
    frames = Frames(100)
    frames.feed(STREAM[:4] + FRAME_LENGTH.pack(101))
    assert frames.next() == b""
    with pytest.raises(TooLarge, match="a frame of 101 bytes; 100 are allowed"):
        frames.next()
