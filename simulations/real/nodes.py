"""The nodes of a run: processes like any user's, each with its conf file, log and prefix."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from node.demo.ports import NodePorts
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


class NodeBroken(Exception):
    """A node doesn't do what it must at any rate: start, stop, or let go of its workers."""


class Node:
    """One node: its files, its addresses, and its processes when it runs."""

    def __init__(self, folder: Path, scratch: Path, number: int, network: Loopback) -> None:
        self.number = number
        self.name = f"node{number}"
        self.network = network
        self.host = network.host(number)
        self.ports: NodePorts = network.ports(number)
        self.prefix = scratch / self.name
        self.conf = scratch / f"{self.name}.conf"
        self.log = folder / f"{self.name}.log"
        self.advertised = self.ports.gossip + 1
        """The relay's port that leads to this node."""
        self.clock = scratch / f"{self.name}.clock"
        """Says by how many seconds the node's wall clock is off."""
        self.process: asyncio.subprocess.Process | None = None
        self._lifeline: int | None = None

    @property
    def admin_url(self) -> str:
        return f"http://{self.host}:{self.ports.admin}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

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
        own = {
            "prefix": str(self.prefix),
            "node_name": self.name,
            "proxy_listen": f"{self.host}:{self.ports.proxy}",
            "admin_listen": f"{self.host}:{self.ports.admin}",
            "admin_gui_listen": "off",
            "status_listen": f"{self.host}:{self.ports.status}",
            "cluster_listen": f"{self.host}:{self.ports.gossip}",
            "cluster_advertise": f"{self.network.center}:{self.advertised}",
            "cluster_profile": "local",
            "nginx_worker_processes": str(WORKERS),
            "proxy_access_log": "off",
            "admin_access_log": "off",
            **settings,
        }
        self.conf.write_text("".join(f"{key} = {value}\n" for key, value in own.items()))

    def step_clock(self, seconds: float) -> None:
        """From now on the node's wall clock is off by so much."""
        with self.clock.open("r+b" if self.clock.exists() else "wb", buffering=0) as file:
            file.write(OFFSET.pack(seconds))

    async def start(self) -> None:
        """Start the process. It ends by itself should this one die."""
        theirs, self._lifeline = os.pipe()
        path = os.pathsep.join(filter(None, (STEPPED, os.environ.get("PYTHONPATH"))))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KONG_", "GRAPEVINE_"))
        }
        try:
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *self.network.command(self.number),
                    *(sys.executable, "-P", "-m", "node", "run", "-c", str(self.conf)),
                    *("--lifeline-fd", str(theirs)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs],
                    env={**inherited, VARIABLE: str(self.clock), "PYTHONPATH": path},
                )
        finally:
            os.close(theirs)

    async def until_ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until the node says that it serves. Raises NodeBroken."""
        url = f"http://{self.host}:{self.ports.status}/status/ready"
        deadline = time.monotonic() + READY_SECONDS
        answer = "no answer"
        while time.monotonic() < deadline:
            if not self.running:
                raise NodeBroken(f"{self.name} has ended: {self.log_tail()}")
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as response:
                    answer = await response.text()
                    if response.status == 200:
                        return
            await asyncio.sleep(POLL_SECONDS)
        raise NodeBroken(f"{self.name} wasn't ready in {READY_SECONDS:g} s: {answer}")

    async def kill(self) -> None:
        """kill -9 of all its processes."""
        processes.send(signal.SIGKILL, self.pids())
        await self._ended()

    async def kill_supervisor(self) -> float:
        """kill -9 of the supervisor alone; answers how long its workers lived on.

        Raises NodeBroken when they don't end.
        """
        workers = self.workers()
        began = time.monotonic()
        processes.send(signal.SIGKILL, [self.pid])
        await self._ended()
        while any(map(processes.runs, workers)):
            if time.monotonic() > began + WORKERS_GONE_SECONDS:
                processes.send(signal.SIGKILL, workers)
                raise NodeBroken(
                    f"{self.name}: workers run {WORKERS_GONE_SECONDS:g} s after their supervisor"
                )
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - began

    async def stop(self) -> int | None:
        """Let the node drain and leave; answers its exit code. Raises NodeBroken."""
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
            raise NodeBroken(f"{self.name} didn't stop in {STOP_SECONDS:g} s") from None
        await self._ended()
        return self.process.returncode

    def log_tail(self, lines: int = 20) -> str:
        """The end of the node's log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

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
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _is_worker(pid: int) -> bool:
    return "node.proxy.worker" in processes.command(pid)
