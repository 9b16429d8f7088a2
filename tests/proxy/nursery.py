"""Workers by the hundred, of which each is forked by one process that has imported what they run.

``python -m tests.proxy.nursery FD`` is that process: it ends when the other end of FD is closed.
For each request it forks a worker in the surroundings of whoever asks (descriptors, variables), as
if it had been started there. What is left out is the start of an interpreter and its imports: most
of what a test with a worker would cost. Those of workers' processes as such start their own.
"""

import asyncio
import atexit
import contextlib
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
LENGTH_BYTES = 4
DESCRIPTORS_MAX = 16
"""Of one request."""


# On the side of the tests


class Forked:
    """One worker's process: what the tests use of ``asyncio.subprocess.Process``."""

    def __init__(self) -> None:
        self.pid = 0
        self.returncode: int | None = None

    async def start(
        self, arguments: Sequence[str], descriptors: Sequence[int], files_max: int | None
    ) -> None:
        """Have it forked; ``descriptors`` have the same numbers there, ``files_max`` is its hard
        limit of open files."""
        status, theirs = socket.socketpair()
        errors, error_end = os.pipe()
        try:
            request = {
                "arguments": list(arguments),
                "descriptors": list(descriptors),
                "files_max": files_max,
                "environment": dict(os.environ),
            }
            _send(_nursery(), request, [theirs.fileno(), error_end, *descriptors])
        finally:
            theirs.close()
            os.close(error_end)
        self._status, self._writer = await asyncio.open_unix_connection(sock=status)
        self._errors = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self._errors)
        pipe = os.fdopen(errors, "rb", 0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
        self.pid = int(await self._status.readline())
        self._end = asyncio.create_task(self._ended())

    async def _ended(self) -> int:
        try:
            self.returncode = int(await self._status.readline())
        finally:
            self._writer.close()
        return self.returncode

    async def wait(self) -> int:
        """Its exit code; negative is a signal's number."""
        return await asyncio.shield(self._end)

    async def communicate(self) -> tuple[bytes, bytes]:
        """What it has written, once it has ended."""
        errors = await self._errors.read()
        await self.wait()
        return b"", errors

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


_running: list[tuple[subprocess.Popen[bytes], socket.socket]] = []
"""The one that forks for the tests of this process, from the first worker on."""


def _nursery() -> socket.socket:
    if not _running:
        ours, theirs = socket.socketpair()
        with theirs:
            command = (sys.executable, "-m", "tests.proxy.nursery", str(theirs.fileno()))
            process = subprocess.Popen(
                command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        _running.append((process, ours))
        atexit.register(close)
    return _running[0][1]


def close() -> None:
    """Let it end."""
    while _running:
        process, control = _running.pop()
        control.close()
        process.wait(20)


def pytest_sessionfinish(session: "pytest.Session") -> None:
    close()


def _send(control: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
    body = json.dumps(request).encode()
    socket.send_fds(control, [len(body).to_bytes(LENGTH_BYTES, "big")], descriptors)
    control.sendall(body)


# On the other side


def serve(control: socket.socket) -> None:
    """Fork for each request, and tell how the workers end, until the tests do."""
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.set_wakeup_fd(waking.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A Ctrl-C is for the tests, whose end is this one's, too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    workers: dict[int, socket.socket] = {}
    while True:
        readable, _, _ = select.select([control, woken], [], [])
        if woken in readable:
            woken.recv(4096)
            _reap(workers)
        if control in readable:
            length, descriptors, _, _ = socket.recv_fds(control, LENGTH_BYTES, DESCRIPTORS_MAX)
            if not length:
                return
            body = control.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
            pid = os.fork()
            if pid == 0:
                _be_worker(json.loads(body), descriptors)
            status = socket.socket(fileno=descriptors[0])
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            workers[pid] = status
            _tell(status, pid)


def _reap(workers: dict[int, socket.socket]) -> None:
    for pid in list(workers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with workers.pop(pid) as whom:
                _tell(whom, os.waitstatus_to_exitcode(status))


def _tell(whom: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # that test is over
        whom.sendall(b"%d\n" % number)


def _be_worker(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    from node.proxy import worker

    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _place(descriptors[1:], [2, *request["descriptors"]])
        os.environ.clear()
        os.environ.update(request["environment"])
        folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[1:1] = [folder for folder in folders if folder and folder not in sys.path]
        if request["files_max"] is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (request["files_max"],) * 2)
        status = worker.main(request["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _place(descriptors: Sequence[int], numbers: Sequence[int]) -> None:
    """Give them these numbers, and close all others."""
    above = min(512, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    assert max(numbers) < above
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, above) for descriptor in descriptors]
    os.closerange(3, above)
    for number, descriptor in zip(numbers, moved, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


if __name__ == "__main__":
    from node.proxy import worker  # noqa: F401  # before the first is forked

    with socket.socket(fileno=int(sys.argv[1])) as control_end:
        serve(control_end)
