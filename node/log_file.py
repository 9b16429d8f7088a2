"""Files that lines are appended to, and that one signal opens anew after a rotation.

A file keeps its descriptor's number when it is reopened, so that a line that another thread or a
child process is writing never meets a descriptor that means something else by then.
"""

import os
from pathlib import Path
from weakref import WeakSet

INHERITED = {"/dev/stdout": 1, "/dev/stderr": 2}
"""Written through the descriptor: the path of a socket or of another's terminal can't be opened."""


class LogFile:
    """A destination of lines: an inherited descriptor, or a file that is made when missing."""

    def __init__(self, destination: str) -> None:
        """Raises OSError when the file can't be opened."""
        self.destination = destination
        inherited = INHERITED.get(destination)
        self._owned = inherited is None
        self._descriptor = _open(destination) if inherited is None else inherited
        if self._owned:
            _open_files.add(self)

    def write(self, data: bytes) -> None:
        """Write all of it: a pipe may take a part. Raises OSError."""
        while data:
            data = data[os.write(self._descriptor, data) :]

    def reopen(self) -> None:
        """Open the file anew, for one that was rotated away. Raises OSError; the old one stays."""
        if self._owned:
            _replace(self._descriptor, self.destination, inheritable=False)

    def close(self) -> None:
        """Give the descriptor back, unless it is an inherited one."""
        if self._owned:
            _open_files.discard(self)
            os.close(self._descriptor)


_open_files: WeakSet[LogFile] = WeakSet()
_standard_streams: dict[int, str] = {}
"""The files behind this process's descriptors 1 and 2, when it is a daemon."""


def take_standard_streams(stdout: str, stderr: str) -> None:
    """Put this process's standard output and error into files, also after each reopening.

    What is written past the log (an interpreter's last words) is then found there. Raises OSError.
    """
    _standard_streams.update({INHERITED["/dev/stdout"]: stdout, INHERITED["/dev/stderr"]: stderr})
    for descriptor, destination in _standard_streams.items():
        _replace(descriptor, destination, inheritable=True)


def reopen_all() -> list[str]:
    """Open every log file of this process anew; answers what failed, a sentence each.

    Where it fails, lines go on into the old file.
    """
    problems = []
    for file in list(_open_files):
        try:
            file.reopen()
        except OSError as error:
            problems.append(f"{file.destination} can't be reopened: {error.strerror}")
    for descriptor, destination in _standard_streams.items():
        try:
            _replace(descriptor, destination, inheritable=True)
        except OSError as error:
            problems.append(f"{destination} can't be reopened: {error.strerror}")
    return problems


def _replace(descriptor: int, destination: str, *, inheritable: bool) -> None:
    fresh = _open(destination)
    os.dup2(fresh, descriptor, inheritable=inheritable)
    os.close(fresh)


def _open(destination: str) -> int:
    Path(destination).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(destination, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
