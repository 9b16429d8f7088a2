"""Nodes as processes of this machine on one shared authority."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from node.agent.authorities import make_migrations
from node.config.load import load
from node.demo.ports import HOST, NodePorts, node_ports

START_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=5)


class NodeFailed(Exception):
    """A node doesn't do what it must at any rate; if it didn't come up, with the end of its log."""


class LocalNode:
    """One node: its files, its ports at ``host``, and its process when it runs."""

    start_seconds = START_SECONDS
    """How long it may take to serve."""

    def __init__(self, home: Path, number: int, ports: NodePorts, host: str = HOST) -> None:
        self.number = number
        self.name = f"node{number}"
        self.host = host
        self.ports = ports
        self.prefix = home / self.name
        self.conf = home / f"{self.name}.conf"
        self.log = home / f"{self.name}.log"
        self.process: asyncio.subprocess.Process | None = None
        self._lifeline: int | None = None

    @property
    def proxy_url(self) -> str:
        return f"http://{self.host}:{self.ports.proxy}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.host}:{self.ports.admin}"

    @property
    def status_url(self) -> str:
        return f"http://{self.host}:{self.ports.status}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def configure(self, settings: Mapping[str, str]) -> None:
        """Write the node's conf file."""
        own = {
            "prefix": str(self.prefix),
            "node_name": self.name,
            "proxy_listen": f"{self.host}:{self.ports.proxy}",
            "admin_listen": f"{self.host}:{self.ports.admin}",
            "admin_gui_listen": "off",
            "status_listen": f"{self.host}:{self.ports.status}",
            "cluster_listen": f"{self.host}:{self.ports.gossip}",
            "nginx_worker_processes": "1",
            "proxy_access_log": "off",
            "admin_access_log": "off",
            **settings,
        }
        lines = [f"{key} = {value}" for key, value in own.items()]
        self.conf.write_text("\n".join(lines) + "\n")

    async def start(self) -> None:
        """Start the process. It ends by itself should this process die."""
        self._drop_lifeline()
        theirs, self._lifeline = os.pipe()
        os.set_blocking(self._lifeline, False)
        try:
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *self.run_by(),
                    *(sys.executable, "-P", "-m", "node", "run", "-c", str(self.conf)),
                    *("--lifeline-fd", str(theirs)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs],
                    env=self.environment(),
                )
        finally:
            os.close(theirs)

    def run_by(self) -> tuple[str, ...]:
        """What the node's command is run by; nothing, but for nodes that live elsewhere."""
        return ()

    def environment(self) -> dict[str, str]:
        """The process' variables: those of this one that configure no node."""
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KONG_", "GRAPEVINE_"))
        }

    async def until_ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until the node says that it serves. Raises NodeFailed."""
        deadline = time.monotonic() + self.start_seconds
        answer = "no answer"
        while time.monotonic() < deadline:
            if not self.running:
                code = self.process.returncode if self.process else None
                raise NodeFailed(f"{self.name} ended with exit code {code}:\n{self.log_tail()}")
            try:
                async with session.get(
                    f"{self.status_url}/status/ready", timeout=REQUEST_TIMEOUT
                ) as response:
                    answer = await response.text()
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                answer = str(error)
            await asyncio.sleep(POLL_SECONDS)
        raise NodeFailed(
            f"{self.name} was not ready in {self.start_seconds:g} s ({answer}):\n{self.log_tail()}"
        )

    async def stop(self) -> int | None:
        """Let the node drain and leave; kill it when that takes too long. Answers its exit code."""
        if self.process is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.process.wait()
        self._drop_lifeline()
        return self.process.returncode

    async def kill(self) -> None:
        """kill -9, and wait for the end of the process."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        await self.process.wait()
        self._drop_lifeline()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor if it runs."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    def cut(self, others: Sequence["LocalNode"]) -> None:
        """From now on the node exchanges no gossip with just these (``node.agent.lifeline``)."""
        addresses = " ".join(f"{node.host}:{node.ports.gossip}" for node in others)
        if self._lifeline is not None and self.running:
            with contextlib.suppress(BrokenPipeError):  # it ends just now
                os.write(self._lifeline, f"cut {addresses}\n".encode())

    def log_tail(self, lines: int = 20) -> str:
        """The end of the node's log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


class LocalCluster:
    """Several nodes with files in ``home``, node i's ports 100·(i-1) above ``base_port``.

    All are configured alike, with what ``own`` says of each beside that.
    """

    def __init__(
        self,
        home: Path,
        nodes: int,
        base_port: int,
        settings: Mapping[str, str] | None = None,
        own: Callable[[LocalNode], Mapping[str, str]] = lambda node: {},
    ) -> None:
        self.home = home
        self._base_port = base_port
        self.nodes = [
            LocalNode(home, number, node_ports(base_port, number)) for number in range(1, nodes + 1)
        ]
        self._own = own
        self._settings = {
            "database": "sqlite",
            "sqlite_path": str(home / "authority.db"),
            "cluster_profile": "local",
            **(settings or {}),
        }
        self.session = aiohttp.ClientSession(timeout=REQUEST_TIMEOUT)

    async def bootstrap(self) -> None:
        """Make the authority."""
        first = self.nodes[0]
        self.configure(first)
        await make_migrations(load(str(first.conf), {}, {})).bootstrap()

    def add_node(self, settings: Mapping[str, str] | None = None) -> LocalNode:
        """One more node, not started, with ``settings`` beside the cluster's."""
        number = len(self.nodes) + 1
        node = LocalNode(self.home, number, node_ports(self._base_port, number))
        self.configure(node, settings)
        self.nodes.append(node)
        return node

    def configure(self, node: LocalNode, settings: Mapping[str, str] | None = None) -> None:
        """Write a node's conf file, with ``settings`` beside the cluster's."""
        node.configure({**self._settings, **self._own(node), **(settings or {})})

    async def start(self, together: int | None = None) -> None:
        """Start every node and wait until each serves and sees all; ``together`` bounds how many
        start at a time. Raises NodeFailed."""
        for node in self.nodes:
            self.configure(node)
        for first in range(0, len(self.nodes), together or len(self.nodes)):
            some = self.nodes[first : first + (together or len(self.nodes))]
            await asyncio.gather(*(node.start() for node in some))
            await asyncio.gather(*(node.until_ready(self.session) for node in some))
        await self.until_view({node.name: "alive" for node in self.nodes})

    async def stop(self) -> list[int | None]:
        """Stop every node; answers their exit codes."""
        await self.session.close()
        return await asyncio.gather(*(node.stop() for node in self.nodes))

    async def members(self, node: LocalNode) -> dict[str, str]:
        """Status by name, as one node sees it."""
        answer = await self.get_json(f"{node.admin_url}/cluster")
        return {member["name"]: member["status"] for member in answer["data"]}

    async def until_view(self, wanted: Mapping[str, str], seconds: float = START_SECONDS) -> None:
        """Wait until every running node sees exactly these members. Raises NodeFailed."""
        deadline = time.monotonic() + seconds
        views: dict[str, dict[str, str]] = {}
        while time.monotonic() < deadline:
            for node in self.nodes:
                if node.running:
                    try:
                        views[node.name] = await self.members(node)
                    except (aiohttp.ClientError, TimeoutError):
                        views[node.name] = {}
            if all(views[node.name] == wanted for node in self.nodes if node.running):
                return
            await asyncio.sleep(POLL_SECONDS)
        raise NodeFailed(f"after {seconds:g} s the nodes see {views}, not {dict(wanted)}")

    async def until_revision(self, wanted: str, seconds: float = START_SECONDS) -> None:
        """Wait until every running node serves this revision. Raises NodeFailed."""
        deadline = time.monotonic() + seconds
        running = [node for node in self.nodes if node.running]
        while time.monotonic() < deadline:
            answers = [
                await self.get_json(f"{node.admin_url}/cluster/revision") for node in running
            ]
            if all(answer["revision"] == wanted for answer in answers):
                return
            await asyncio.sleep(POLL_SECONDS)
        raise NodeFailed(f"after {seconds:g} s not every node is at revision {wanted}")

    async def get_json(self, url: str) -> dict[str, Any]:
        """GET a JSON object; raises aiohttp.ClientResponseError on an error status."""
        async with self.session.get(url, raise_for_status=True) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def post_json(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST a JSON object; raises aiohttp.ClientResponseError on an error status."""
        async with self.session.post(url, json=body, raise_for_status=True) as response:
            answer: dict[str, Any] = await response.json()
            return answer
