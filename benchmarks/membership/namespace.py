"""Network namespaces without a name: they live in a descriptor, and end with whoever holds it.

Nothing has to be removed afterwards, whatever kills this process. A namespace is entered by a
short-lived thread of ours, or by nsenter(1) through this process's descriptor.
"""

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from benchmarks.membership.programs import run
from benchmarks.membership.systems import Unavailable

_CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"

Answer = TypeVar("Answer")


class Namespace:
    """One network namespace. Its loopback is up; nothing leads out of it."""

    def __init__(self) -> None:
        """Raises Unavailable without the right to make one."""
        self._descriptor = _in_thread(_unshared)

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @property
    def enter(self) -> list[str]:
        """What to run a command by, so that it runs in here."""
        return ["nsenter", f"--net={self.path}", "--"]

    async def open(self) -> None:
        """Bring the loopback up."""
        await self.ip("link set lo up")

    async def ip(self, *lines: str) -> None:
        """Run these commands of ip(8) in here. Raises ProgramFailed."""
        await run([*self.enter, "ip", "-batch", "-"], stdin="\n".join(lines) + "\n")

    async def tc(self, *lines: str) -> None:
        """Run these commands of tc(8) in here. Raises ProgramFailed."""
        await run([*self.enter, "tc", "-batch", "-"], stdin="\n".join(lines) + "\n")

    def packet_socket(self, protocol: int) -> socket.socket:
        """A socket that sees the packets in here (packet(7)). Raises Unavailable."""

        def opened() -> socket.socket:
            _call("setns", self._descriptor, _CLONE_NEWNET)
            return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))

        return _in_thread(opened)

    def close(self) -> None:
        """Let go; the namespace ends with its last process."""
        os.close(self._descriptor)


def _unshared() -> int:
    _call("unshare", _CLONE_NEWNET)
    return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _in_thread(work: Callable[[], Answer]) -> Answer:
    """Run it in a thread, which alone changes its namespace, and ends."""
    answers: list[Answer] = []
    errors: list[Exception] = []

    def guarded() -> None:
        try:
            answers.append(work())
        except (OSError, AttributeError) as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if errors:
        raise Unavailable(f"no network namespace of our own ({errors[0]}); it needs root on Linux")
    return answers[0]


def check_tools(tools: Sequence[str], found: Callable[[str], object]) -> None:
    """Raises Unavailable when a program is missing."""
    for tool in tools:
        if found(tool) is None:
            raise Unavailable(f"no {tool} on the PATH (Debian: packages iproute2 and util-linux)")
