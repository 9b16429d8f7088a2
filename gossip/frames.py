"""How a stream is cut into frames: before each stands its length, 4 bytes, big-endian."""

import struct

FRAME_LENGTH = struct.Struct(">I")
"""Before each frame: its length."""


class TooLarge(Exception):
    """The next frame says that it is larger than allowed; nothing after it can be read."""


class Frames:
    """Cuts what arrives on one stream. Holds at most one frame that isn't whole yet, and what came
    with its last bytes: whoever feeds it takes all frames before more."""

    def __init__(self, size_max: int) -> None:
        """``size_max``: bytes of a frame, without its length."""
        self._size_max = size_max
        self._buffer = bytearray()

    def __len__(self) -> int:
        """Bytes held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._buffer += data

    def next(self) -> bytes | None:
        """The next whole frame; None until more has arrived. Raises TooLarge."""
        if len(self._buffer) < FRAME_LENGTH.size:
            return None
        (size,) = FRAME_LENGTH.unpack_from(self._buffer)
        if size > self._size_max:
            raise TooLarge(f"a frame of {size} bytes; {self._size_max} are allowed")
        end = FRAME_LENGTH.size + size
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            frame = bytes(view[FRAME_LENGTH.size : end])
        del self._buffer[:end]
        return frame
