"""The nodes of a run: processes like any user's, each with its conf file, log and prefix."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from node.demo.cluster import LocalNode, NodeFailed
from simulations.real import processes
from simulations.real.network import Loopback
from simulations.real.stepped import sitecustomize
from simulations.real.stepped.sitecustomize import OFFSET, VARIABLE

READY_SECONDS = 90.0
STOP_SECONDS = 30.0
WORKERS_GONE_SECONDS = 10.0
"""The contract says 5 s; the machine is busy."""
POLL_SECONDS = 0.05
ASK_SECONDS = 5.0
PREFIX_MEGABYTES = 64
WORKERS = 2
FILLER = "filler"
STEPPED = str(Path(sitecustomize.__file__).parent)
SURPRISE_CHARS_MAX = 2_000


class Node(LocalNode):
    """One node, maybe in a namespace of its own, with a clock of its own, and all its processes."""

    start_seconds = READY_SECONDS

    def __init__(self, folder: Path, scratch: Path, number: int, network: Loopback) -> None:
        super().__init__(scratch, number, network.ports(number), network.host(number))
        self.network = network
        self.log = folder / f"{self.name}.log"
        self.advertised = self.ports.gossip + 1
        """The relay's port that leads to this node."""
        self.clock = scratch / f"{self.name}.clock"
        """Says by how many seconds the node's wall clock is off."""

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self.process is not None, f"{self.name} was never started"
        return self.process.pid

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return [pid for pid in processes.children(self.pid) if _is_worker(pid)]

    def pids(self) -> list[int]:
        """All of the node's processes, the supervisor first."""
        return [self.pid, *processes.children(self.pid)]

    def prepare(self, settings: Mapping[str, str]) -> None:
        """Make the prefix, a small disk of its own where that is possible, and the conf file."""
        self.prefix.mkdir(mode=0o700)
        self.step_clock(0.0)
        if self.network.enclosed:
            options = f"size={PREFIX_MEGABYTES}m,mode=700"
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.prefix)], check=True
            )
        self.configure(
            {
                "cluster_advertise": f"{self.network.center}:{self.advertised}",
                "cluster_profile": "local",
                "nginx_worker_processes": str(WORKERS),
                **settings,
            }
        )

    def step_clock(self, seconds: float) -> None:
        """From now on the node's wall clock is off by so much."""
        with self.clock.open("r+b" if self.clock.exists() else "wb", buffering=0) as file:
            file.write(OFFSET.pack(seconds))

    def run_by(self) -> tuple[str, ...]:
        return self.network.command(self.number)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (STEPPED, os.environ.get("PYTHONPATH"))))
        return {**super().environment(), VARIABLE: str(self.clock), "PYTHONPATH": path}

    async def kill(self) -> None:
        """kill -9 of all its processes."""
        processes.send(signal.SIGKILL, self.pids())
        await self._ended()

    async def kill_supervisor(self) -> float:
        """kill -9 of the supervisor alone; answers how long its workers lived on.

        Raises NodeFailed when they don't end.
        """
        workers = self.workers()
        began = time.monotonic()
        processes.send(signal.SIGKILL, [self.pid])
        await self._ended()
        while any(map(processes.runs, workers)):
            if time.monotonic() > began + WORKERS_GONE_SECONDS:
                processes.send(signal.SIGKILL, workers)
                raise NodeFailed(
                    f"{self.name}: workers run {WORKERS_GONE_SECONDS:g} s after their supervisor"
                )
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - began

    async def stop(self) -> int | None:
        """Let the node drain and leave; answers its exit code. Raises NodeFailed."""
        if not self.running:
            return None
        assert self.process is not None
        pids = self.pids()
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            processes.send(signal.SIGKILL, pids)
            await self._ended()
            raise NodeFailed(f"{self.name} didn't stop in {STOP_SECONDS:g} s") from None
        await self._ended()
        return self.process.returncode

    def surprises(self) -> list[str]:
        """Lines of the log that tell of an error that nobody foresaw."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(errors="replace").splitlines()
        return [line[:SURPRISE_CHARS_MAX] for line in lines if "Traceback" in line]

    async def ask(self, session: aiohttp.ClientSession, path: str) -> Any:
        """What the Admin API answers; raises aiohttp.ClientError, also on an error status."""
        async with session.get(f"{self.admin_url}{path}", raise_for_status=True) as response:
            return await response.json()

    async def _ended(self) -> None:
        assert self.process is not None
        await self.process.wait()
        self._drop_lifeline()


def _is_worker(pid: int) -> bool:
    return "node.proxy.worker" in processes.command(pid)
