"""What machine figures come from."""

import os
import platform
import socket
import statistics
import time
from pathlib import Path

EXCHANGES = 5_000
REPEATS = 9


def machine() -> str:
    """Cores, system, Python and load, in a line."""
    return (
        f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.2f}"
    )


def processor() -> str:
    """The processor's name, and whether a hypervisor shows; less where the system tells less."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    virtual = "a virtual machine" if "hypervisor" in fields.get("flags", "").split() else ""
    return ", ".join(filter(None, (fields.get("model name", platform.machine()), virtual)))


def exchange_microseconds() -> float:
    """What it takes to send a byte through a socket and receive it: two system calls; the median of
    some repeats."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taken = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            for _ in range(EXCHANGES):
                ours.send(b"x")
                theirs.recv(1)
            taken.append((time.perf_counter() - start) / EXCHANGES)
    return statistics.median(taken) * 1e6
