"""Where a cluster's agents run: on one loopback, or as hosts of their own on two joined bridges."""

import shutil
import socket
import time
from pathlib import Path
from typing import Protocol

from benchmarks.membership import faults
from benchmarks.membership.namespace import Namespace, check_tools
from benchmarks.membership.programs import ProgramFailed
from benchmarks.membership.systems import Seat, Unavailable

LOOPBACK = "127.0.0.1"
FIRST_PORT = 17_000
NODES_MAX = 60


class Ground(Protocol):
    """A place for the agents 1 to n."""

    async def open(self) -> None:
        """Make it. Raises Unavailable."""

    def seat(self, number: int, home: Path) -> Seat:
        """Where agent ``number`` runs; it is named ``n<number>``."""

    def enter(self, number: int) -> list[str]:
        """What to run the agent's command by."""

    def close(self) -> None:
        """Let go of it, once the agents have ended."""


class SharedLoopback:
    """The machine's own loopback, on ports that are free. Needs no right."""

    def __init__(self) -> None:
        self._ports: list[int] = []

    async def open(self) -> None:
        self._ports = _free_ports(2 * NODES_MAX)

    def seat(self, number: int, home: Path) -> Seat:
        ports = self._ports[2 * number - 2 : 2 * number]
        return Seat(f"n{number}", LOOPBACK, ports[0], ports[1], home)

    def enter(self, number: int) -> list[str]:
        return []

    def close(self) -> None:
        pass


class OwnLoopback:
    """The loopback of a namespace that holds this cluster alone."""

    def __init__(self) -> None:
        self.namespace = Namespace()

    async def open(self) -> None:
        check_tools(("ip", "nsenter"), shutil.which)
        await self.namespace.open()

    def seat(self, number: int, home: Path) -> Seat:
        port = FIRST_PORT + number
        return Seat(f"n{number}", LOOPBACK, port, port + NODES_MAX, home)

    def enter(self, number: int) -> list[str]:
        return self.namespace.enter

    async def lose(self, share: float) -> None:
        """Lose this share of all packets from now on. Raises Unavailable."""
        check_tools(("tc",), shutil.which)
        try:
            await self.namespace.tc(*faults.filtered("lo", "ingress", faults.lost(share)))
        except ProgramFailed as error:
            raise Unavailable(f"this kernel can't lose packets by tc and BPF: {error}") from error

    def close(self) -> None:
        self.namespace.close()


class Hosts:
    """A namespace, an interface and an address (10.77.0.0/24) for each agent.

    Odd numbers hang on one bridge, even ones on another, and a cable joins the two. The bridges
    stand in a namespace too. ARP passes everywhere: a silent host is silent, not unknown.
    """

    def __init__(self, count: int) -> None:
        self._switch = Namespace()
        self._hosts = [Namespace() for _ in range(count)]

    async def open(self) -> None:
        check_tools(("ip", "nsenter", "tc"), shutil.which)
        try:
            await self._wire()
        except ProgramFailed as error:
            raise Unavailable(f"hosts of their own can't be made: {error}") from error

    async def _wire(self) -> None:
        lines = ["link set lo up", "link add cable0 type veth peer name cable1"]
        for half in range(2):
            lines += [f"link add half{half} type bridge", f"link set half{half} up"]
            lines += [f"link set cable{half} master half{half} up"]
        for number, host in enumerate(self._hosts, 1):
            lines += [
                f"link add port{number} type veth peer name eth0 netns {host.path}",
                f"link set port{number} master half{number % 2} up",
            ]
        await self._switch.ip(*lines)
        for number, host in enumerate(self._hosts, 1):
            await host.ip(
                "link set lo up", f"addr add {_host(number)}/24 dev eth0", "link set eth0 up"
            )

    def seat(self, number: int, home: Path) -> Seat:
        return Seat(f"n{number}", _host(number), FIRST_PORT, FIRST_PORT + 1, home)

    def enter(self, number: int) -> list[str]:
        return self._hosts[number - 1].enter

    async def silence(self, number: int) -> float:
        """Drop whatever this host sends and is sent, without a word; since when."""
        both = [
            faults.filtered(f"port{number}", direction, faults.ALL_BUT_ARP)
            for direction in ("ingress", "egress")
        ]
        began = time.monotonic()
        await self._switch.tc(*dict.fromkeys(line for lines in both for line in lines))
        return (began + time.monotonic()) / 2

    async def hear(self, number: int) -> None:
        """End the host's silence."""
        await self._switch.tc(faults.unfiltered(f"port{number}"))

    async def cut(self) -> None:
        """Drop whatever goes from one half to the other."""
        lines = [faults.filtered(f"cable{end}", "ingress", faults.ALL_BUT_ARP) for end in (0, 1)]
        await self._switch.tc(*(line for pair in lines for line in pair))

    async def mend(self) -> None:
        """Let the halves talk again."""
        await self._switch.tc(*(faults.unfiltered(f"cable{end}") for end in (0, 1)))

    def close(self) -> None:
        for host in self._hosts:
            host.close()
        self._switch.close()


def _host(number: int) -> str:
    return f"10.77.0.{number}"


def _free_ports(count: int) -> list[int]:
    """Ports that neither UDP nor TCP uses here; held together until all are found."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(stream)
            stream.bind((LOOPBACK, 0))
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held.append(datagrams)
            try:
                datagrams.bind(stream.getsockname())
            except OSError:
                continue
            ports.append(stream.getsockname()[1])
        return ports
    finally:
        for one in held:
            one.close()
