"""Finding the node of a prefix: by its lock, not by what a file says."""

import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.agent.prefix import lock_prefix
from node.cli import running
from node.cli.failure import Failure
from node.cli.running import Facts, RunningNode, find, known, note
from node.config.listen import parse_listeners

HOLDER = """
import sys, time
from pathlib import Path
from node.agent.prefix import lock_prefix
lock = lock_prefix(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""

FACTS = Facts("/etc/kong/kong.conf", parse_listeners("[::1]:8007"), (), 25.0, "off", 3, ("a: no",))


@pytest.fixture
def hold() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Starts a process that holds a prefix's lock, as a node does."""
    held: list[subprocess.Popen[str]] = []

    def start(prefix: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(prefix)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        held.append(process)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 20)
        assert ready, "the holder has locked"
        assert process.stdout.readline() == "locked\n"
        return process

    yield start
    for process in held:
        process.kill()
        process.communicate()


Hold = Callable[[Path], "subprocess.Popen[str]"]


def test_a_locked_prefix_has_a_running_node(tmp_path: Path, hold: Hold) -> None:
    holder = hold(tmp_path)
    assert find(tmp_path) == RunningNode(tmp_path, holder.pid)


@pytest.mark.parametrize("content", ["", "0\n", "-1\n", "nonsense", "999999999\n", "9" * 32])
def test_a_pid_file_without_a_living_process_is_stale(tmp_path: Path, content: str) -> None:
    (tmp_path / "grapevine.pid").write_text(content)
    assert find(tmp_path) is None


def test_a_number_that_another_process_has_by_now_is_stale(tmp_path: Path) -> None:
    (tmp_path / "grapevine.pid").write_text(f"{os.getpid()}\n")
    assert find(tmp_path) is None


def test_looking_leaves_the_lock_free(tmp_path: Path) -> None:
    (tmp_path / "grapevine.pid").write_text(f"{os.getpid()}\n")
    find(tmp_path)
    descriptor = lock_prefix(tmp_path)
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def test_where_there_is_no_prefix_nothing_runs(tmp_path: Path) -> None:
    assert find(tmp_path / "absent") is None
    (tmp_path / "file").write_text("")
    assert find(tmp_path / "file") is None


def test_a_pid_file_that_cant_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "grapevine.pid").symlink_to(tmp_path / "grapevine.pid")
    with pytest.raises(Failure, match=r"grapevine\.pid can't be read: "):
        find(tmp_path)


def test_its_end_is_seen(tmp_path: Path, hold: Hold) -> None:
    holder = hold(tmp_path)
    node = RunningNode(tmp_path, holder.pid)
    assert not node.ends_within(0)
    node.signal(signal.SIGTERM)
    assert node.ends_within(20)
    node.signal(signal.SIGTERM)
    node.kill()


def test_another_node_in_the_same_prefix_is_not_the_one_that_was_found(
    tmp_path: Path, hold: Hold
) -> None:
    holder = hold(tmp_path)
    holder.kill()
    holder.wait()
    later = hold(tmp_path)
    assert not RunningNode(tmp_path, holder.pid).runs
    assert RunningNode(tmp_path, later.pid).runs


def test_a_stopped_process_can_be_killed(tmp_path: Path, hold: Hold) -> None:
    holder = hold(tmp_path)
    holder.send_signal(signal.SIGSTOP)
    node = RunningNode(tmp_path, holder.pid)
    node.kill()
    assert node.ends_within(20)


def test_facts_are_read_as_they_were_noted(tmp_path: Path) -> None:
    note(tmp_path, FACTS)
    assert known(tmp_path) == FACTS
    note(tmp_path, Facts(None, (), (), 0.5, "/dev/stderr"))
    assert known(tmp_path) == Facts(None, (), (), 0.5, "/dev/stderr")
    assert [path.name for path in tmp_path.iterdir()] == [running.FACTS_FILE]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("{", "]"),
        ('"conf": "/etc/kong/kong.conf"', '"conf": 7'),
        ('"conf"', '"other"'),
        ("[::1]:8007", "nonsense"),
        ("25.0", '"soon"'),
        ('"a: no"', "1"),
        ('"log": "off"', '"log": null'),
    ],
)
def test_damaged_facts_are_no_facts(tmp_path: Path, wrong: str, right: str) -> None:
    note(tmp_path, FACTS)
    path = tmp_path / running.FACTS_FILE
    assert wrong in path.read_text()
    path.write_text(path.read_text().replace(wrong, right))
    assert known(tmp_path) is None
    assert running.shutdown_timeout(tmp_path) == 25.0


def test_the_shutdown_timeout_is_the_running_nodes(tmp_path: Path) -> None:
    assert running.shutdown_timeout(tmp_path) == 25.0, "the default"
    note(tmp_path, Facts(None, (), (), 120.0, "off"))
    assert running.shutdown_timeout(tmp_path) == 120.0
