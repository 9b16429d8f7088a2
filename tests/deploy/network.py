"""Machines on one bridge, each in network, mount, PID, UTS and user namespaces of its own.

Nothing of them exists outside: the bridge, too, lives in a namespace that goes with its holder
(tests/deploy/holder.py). A test that can't have namespaces fails, since the promise it checks would
go unchecked.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.deploy.container import Spec

ROOT = Path(__file__).resolve().parent.parent.parent
BRIDGE = "bridge"
MACHINES_MAX = 20
START_SECONDS = 20.0
HTTP_SECONDS = 5.0
EXECUTE_SECONDS = 15.0
END_SECONDS = 10.0


class NamespacesMissing(AssertionError):
    """This machine doesn't let the test make namespaces."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Machine:
    """One machine: its name and address, and what runs there."""

    def __init__(self, network: "Network", name: str, address: str, log: Path) -> None:
        self.network = network
        self.name = name
        self.address = address
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._environment: Mapping[str, str] = {}

    def start(
        self, spec: Spec, environment: Mapping[str, str], *, stdin: int | None = None
    ) -> None:
        """Start the machine with ``spec.command`` as its PID 1.

        Its output goes to ``log``, and its environment is ``environment`` and PATH alone.
        """
        path = ":".join(("/run/bin", os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
        self._environment = {"PATH": path, **environment}
        container = (sys.executable, "-P", str(ROOT / "tests/deploy/container.py"), spec.encoded())
        unshare = ("unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.network.inside("ip", "netns", "exec", self.name, *unshare, *container),
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    def first_process(self) -> int:
        """PID 1 of the machine, by its number out here."""
        assert self.process is not None, f"{self.name} is off"
        return _only_child(_only_child(self.process.pid))  # nsenter, unshare

    def execute(self, *command: str) -> int:
        """Run one more command there, as ``docker exec`` does; answers its exit code."""
        target = f"--target={self.first_process()}"
        entered = ("--net", "--mount", "--pid", "--uts", *self.network.user_namespace())
        with self.log.open("ab") as log:
            return subprocess.run(
                ["nsenter", target, *entered, "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                timeout=EXECUTE_SECONDS,
                check=False,
            ).returncode

    def output(self) -> str:
        """Everything that was written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def get(self, port: int, path: str) -> Answer:
        """GET from the bridge, as the host of the containers would. Raises OSError."""
        return self.request("GET", port, path)

    def request(self, method: str, port: int, path: str, body: Any = None) -> Answer:
        """One HTTP request from the bridge; ``body`` is sent as JSON. Raises OSError."""
        connection = http.client.HTTPConnection(self.address, port, timeout=HTTP_SECONDS)
        connection.sock = self.network.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.sock.settimeout(HTTP_SECONDS)
            connection.sock.connect((self.address, port))
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        except http.client.HTTPException as error:
            raise OSError(f"{self.name}:{port}: no HTTP answer: {error!r}") from error
        finally:
            connection.close()


class Network:
    """A bridge with the address ``.1`` of a /24 network, and the machines on it."""

    def __init__(self, folder: Path, prefix: str) -> None:
        """``prefix`` is the first three bytes of every address, such as ``10.0.0``."""
        self.machines: dict[str, Machine] = {}
        self._folder = folder
        self._prefix = prefix

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._asked = ours
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.geteuid() != 0:
            command.append("--map-root-user")
        with theirs:
            self._holder = subprocess.Popen(
                [*command, sys.executable, "-P", str(ROOT / "tests/deploy/holder.py")],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        ours.settimeout(START_SECONDS)
        if ours.recv(16) != b"ready":
            _, problem = self._holder.communicate()
            ours.close()
            raise NamespacesMissing(
                f"namespaces can't be made here ({problem.decode().strip()}); run the tests as "
                "root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)"
            )
        self._ip(
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"addr add {self._prefix}.1/24 dev {BRIDGE}",
            f"link set {BRIDGE} up promisc on",  # a capture sees what passes between machines, too
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._asked.close()
        try:
            self._holder.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.communicate()
        for machine in self.machines.values():
            if machine.process is not None:
                machine.process.wait(END_SECONDS)

    def add(self, name: str, last_byte: int) -> Machine:
        """Plug in a machine that is still off."""
        number = len(self.machines)
        assert number < MACHINES_MAX, f"{MACHINES_MAX} machines are enough"
        address = f"{self._prefix}.{last_byte}"
        self._ip(
            f"netns add {name}",
            f"link add port{number} type veth peer name eth0 netns {name}",
            f"link set port{number} master {BRIDGE} up",
        )
        self._ip(
            "link set lo up",
            f"addr add {address}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {self._prefix}.1",
            namespace=name,
        )
        machine = Machine(self, name, address, self._folder / f"{name}.log")
        self.machines[name] = machine
        return machine

    def inside(self, *command: str) -> list[str]:
        """A command line that runs where the bridge is."""
        target = f"--target={_only_child(self._holder.pid)}"
        entered = ("--net", "--mount", "--pid", *self.user_namespace())
        return ["nsenter", target, *entered, "--", *command]

    def user_namespace(self) -> Sequence[str]:
        """nsenter's arguments to become who may do everything here; root is that already."""
        if os.geteuid() == 0:
            return ()
        return (f"--user=/proc/{_only_child(self._holder.pid)}/ns/user", "--preserve-credentials")

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives where the bridge is."""
        self._asked.sendall(f"{family} {kind} {protocol}".encode())
        _, (descriptor,), _, _ = socket.recv_fds(self._asked, 16, 1)
        return socket.socket(fileno=descriptor)

    def _ip(self, *lines: str, namespace: str | None = None) -> None:
        where = () if namespace is None else ("-n", namespace)
        command = self.inside("ip", *where, "-batch", "-")
        done = subprocess.run(command, input="\n".join(lines), text=True, capture_output=True)
        assert done.returncode == 0, f"ip: {done.stderr}"


def _only_child(pid: int) -> int:
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)
