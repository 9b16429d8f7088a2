"""A wall clock that can be stepped, for a process that is started with this folder on PYTHONPATH.

The interpreter imports a module of this name at its start. The system's clock is not touched:
``time.time`` is what nodes read the wall clock by, and it alone follows the file that
``STEPPED_CLOCK`` names, 8 bytes that say by how many seconds it is off. (libfaketime was tried: it
also bends the time-outs of epoll, so that a process with uvloop stands still for seconds.)
"""

import mmap
import os
import struct
import time

VARIABLE = "STEPPED_CLOCK"
OFFSET = struct.Struct("d")


def _follow(path: str) -> None:
    real = time.time
    with open(path, "rb") as file:
        offset = mmap.mmap(file.fileno(), OFFSET.size, access=mmap.ACCESS_READ)

    def stepped() -> float:
        return real() + float(OFFSET.unpack_from(offset)[0])

    time.time = stepped


if VARIABLE in os.environ:
    _follow(os.environ[VARIABLE])
