"""The machines that other tests here stand on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.capture import Capture
from tests.deploy.container import Spec
from tests.deploy.network import ROOT, Network
from tests.deploy.shell import Shell
from tests.system.test_cluster import is_running
from tests.system.waiting import until

PREFIX = "10.84.0"
UID = 1234
PORT = 8080
FETCH = f"{sys.executable} -c 'import urllib.request as r; print(r.urlopen(\"{{url}}\").read())'"
OPEN_AND_WAIT = """
import sys
from pathlib import Path
from tests.deploy.network import Network
from tests.deploy.test_network import PREFIX, switch_on
with Network(Path(sys.argv[1]), PREFIX) as network:
    print(switch_on(network, "a").machine.first_process(), flush=True)
    sys.stdin.read()
"""


def switch_on(network: Network, name: str) -> Shell:
    """A machine that is on, with a user who isn't root."""
    machine = network.add(name, len(network.machines) + 2)
    hosts = {f"{PREFIX}.2": "a", f"{PREFIX}.3": "b"}
    spec = Spec(name, ("sh",), "somebody", UID, hosts, ("/var/lib/of-mine",))
    shell = Shell(machine, spec, {"A_VARIABLE": "its value"})
    shell.type("true")
    return shell


def serve(shell: Shell) -> None:
    """Let a web server run on PORT, with the machine's name as its answer."""
    shell.type(f"cd /run/home; hostname >name; {sys.executable} -m http.server {PORT} >log 2>&1 &")
    fetch = FETCH.format(url=f"http://127.0.0.1:{PORT}/name")
    shell.type(f"until {fetch} 2>/dev/null; do sleep 0.05; done")


def test_machines_reach_each_other_by_name_and_the_outside_not_at_all(tmp_path: Path) -> None:
    with Network(tmp_path, PREFIX) as network:
        a, b = switch_on(network, "a"), switch_on(network, "b")
        serve(b)
        assert "b\\n" in a.type(FETCH.format(url=f"http://b:{PORT}/name"))
        assert b.machine.get(PORT, "/name").body == b"b\n"
        links = subprocess.run(network.inside("ip", "-brief", "link"), capture_output=True)
        names = sorted(line.split(b"@")[0].split()[0] for line in links.stdout.splitlines())
        assert names == [b"bridge", b"lo", b"port0", b"port1"], "no way leads out"


def test_a_machine_has_user_environment_and_first_process_of_its_own(tmp_path: Path) -> None:
    with Network(tmp_path, PREFIX) as network:
        shell = switch_on(network, "a")
        assert shell.type("id -un; id -u; hostname; echo $A_VARIABLE; echo $$").split("\n") == [
            *("somebody", str(UID), "a", "its value", "1", "")
        ]


def test_more_commands_can_be_run_on_a_machine_that_is_on(tmp_path: Path) -> None:
    with Network(tmp_path, PREFIX) as network:
        machine = switch_on(network, "a").machine
        assert machine.execute("sh", "-c", "echo $$ in $(hostname): $A_VARIABLE; exit 3") == 3
        assert "in a: its value" in machine.output()


def test_what_a_machine_writes_is_its_own(tmp_path: Path) -> None:
    with Network(tmp_path, PREFIX) as network:
        a, b = switch_on(network, "a"), switch_on(network, "b")
        a.type("echo mine >/etc/of-mine; echo mine >/var/lib/of-mine/file")
        b.type("test ! -e /etc/of-mine; test -d /var/lib/of-mine; test ! -e /var/lib/of-mine/file")
    assert not Path("/etc/of-mine").exists()
    assert not Path("/var/lib/of-mine").exists()


def test_a_command_that_fails_fails_the_test(tmp_path: Path) -> None:
    with Network(tmp_path, PREFIX) as network:
        shell = switch_on(network, "a")
        with pytest.raises(AssertionError, match="failed with 7"):
            shell.type("sh -c 'exit 7'\ntrue")
        assert shell.type("echo goes on") == "goes on\n"


def test_a_capture_sees_what_passes_between_two_machines(tmp_path: Path) -> None:
    with Network(tmp_path, PREFIX) as network:
        a, b = switch_on(network, "a"), switch_on(network, "b")
        serve(b)
        capture = Capture(network)
        a.type(FETCH.format(url=f"http://b:{PORT}/name"))
        packets = capture.read()
        capture.close()
    requests = [one for one in packets if one.destination == (b.machine.address, PORT)]
    assert [one.source[0] for one in requests] == [a.machine.address]
    assert requests[0].payload.startswith(b"GET /name HTTP/1.1\r\n")


async def test_nothing_outlives_a_test_that_is_killed(tmp_path: Path) -> None:
    inside = open_and_kill(tmp_path)

    async def gone() -> bool:
        return not is_running(inside)

    await until(gone, "the machine's first process has ended", seconds=5)


def open_and_kill(folder: Path) -> int:
    """Kill a process that has a machine on; answers the number of the machine's first process."""
    opener = subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with opener:
        assert opener.stdout is not None
        inside = int(opener.stdout.readline())
        assert is_running(inside)
        os.kill(opener.pid, signal.SIGKILL)
    return inside
