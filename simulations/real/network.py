"""Where nodes live on the network, and what may be cut between them.

In namespaces each node is a machine of its own on a bridge, whose address ``.1`` is everything
else: clients, upstream, Postgres and the relay. On loopback they share 127.0.0.1, and nothing can
be cut by the kernel.
"""

import asyncio
import subprocess
from dataclasses import dataclass
from typing import Literal

from node.demo.ports import HOST, NodePorts, choose_base, node_ports

Protocol = Literal["udp", "tcp"]
BRIDGE = "bridge"
PREFIX = "10.77.0"
BASE_PORT = 8000
NODE_BYTE = 10
"""Node i's address ends in 10 + i."""


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """What a node sends to a port of the center is lost, and so is what answers it."""

    node: int
    protocol: Protocol
    port: int


class Loopback:
    """No namespaces: all share one address."""

    name = "loopback"
    enclosed = False
    center = HOST

    def __init__(self, nodes: int) -> None:
        self._base = choose_base(nodes, None)

    def host(self, node: int) -> str:
        return HOST

    def ports(self, node: int) -> NodePorts:
        return node_ports(self._base, node)

    def command(self, node: int) -> tuple[str, ...]:
        """What starts a command where a node lives."""
        return ()

    async def cut(self, cuts: frozenset[Cut]) -> None:
        """From now on exactly these are cut."""
        if cuts:
            raise NotImplementedError("nothing can be cut on loopback")


class Namespaces(Loopback):
    """A bridge in this process' network namespace, and one namespace for each node."""

    name = "namespaces"
    enclosed = True
    center = f"{PREFIX}.1"

    def __init__(self, nodes: int) -> None:
        self._base = BASE_PORT
        self._cuts: frozenset[Cut] = frozenset()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        _ip(
            None,
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"addr add {self.center}/24 dev {BRIDGE}",
            f"link set {BRIDGE} up",
        )
        for node in range(1, nodes + 1):
            _ip(
                None,
                f"netns add {_namespace(node)}",
                f"link add port{node} type veth peer name eth0 netns {_namespace(node)}",
                f"link set port{node} master {BRIDGE} up",
            )
            _ip(
                _namespace(node),
                "link set lo up",
                f"addr add {self.host(node)}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {self.center}",
            )

    def host(self, node: int) -> str:
        return f"{PREFIX}.{NODE_BYTE + node}"

    def command(self, node: int) -> tuple[str, ...]:
        return ("ip", "netns", "exec", _namespace(node))

    async def cut(self, cuts: frozenset[Cut]) -> None:
        changed = {cut.node for cut in cuts ^ self._cuts}
        self._cuts = cuts
        for node in sorted(changed):
            rules = [cut for cut in sorted(cuts) if cut.node == node]
            nft = await asyncio.create_subprocess_exec(
                *self.command(node),
                *("nft", "-f", "-"),
                stdin=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            _, problem = await nft.communicate(_ruleset(self.center, rules).encode())
            if nft.returncode:
                raise RuntimeError(f"nft: {problem.decode()}")


def _ruleset(center: str, cuts: list[Cut]) -> str:
    """Replaces whatever was cut before, in one step."""
    outgoing = [f"ip daddr {center} {cut.protocol} dport {cut.port} drop" for cut in cuts]
    incoming = [f"ip saddr {center} {cut.protocol} sport {cut.port} drop" for cut in cuts]
    lines = ["add table inet cut", "delete table inet cut", "table inet cut {"]
    for hook, rules in (("output", outgoing), ("input", incoming)):
        lines += [f"chain {hook} {{", f"type filter hook {hook} priority 0;", *rules, "}"]
    return "\n".join([*lines, "}", ""])


def _namespace(node: int) -> str:
    return f"node{node}"


def _ip(namespace: str | None, *lines: str) -> None:
    where = () if namespace is None else ("-n", namespace)
    subprocess.run(
        ["ip", *where, "-batch", "-"], input="\n".join(lines), text=True, check=True, timeout=20
    )
