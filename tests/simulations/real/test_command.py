"""``python -m simulations real``, as it is typed and as it ends."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

from click.testing import CliRunner

from simulations.__main__ import main
from simulations.real.faults import FAULTS
from simulations.real.options import Options, decoded


def test_an_unknown_fault_is_refused_with_those_that_there_are() -> None:
    done = CliRunner().invoke(main, ["real", "--faults", "worker_kill,earthquake"])
    assert done.exit_code == 2
    assert "earthquake" in done.output
    assert all(fault.name in done.output for fault in FAULTS)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    done = CliRunner().invoke(main, ["real", "--keep", str(tmp_path)])
    assert done.exit_code == 2
    assert "isn't empty" in done.output


def test_options_reach_the_run_as_they_are_and_are_told_as_a_command(tmp_path: Path) -> None:
    options = Options(
        60.0, 7, 3, ("worker_kill", "promote"), False, tmp_path, tmp_path / "s", False
    )
    assert decoded(options.encoded()) == options
    line = options.line().partition(" -m simulations ")[2].split()
    assert line[0] == "real"
    assert line[line.index("--faults") + 1] == "worker_kill,promote"
    assert line[line.index("--where") + 1] == "loopback"


def processes_of(folder: Path) -> list[str]:
    """Command lines that name the folder, of this process aside."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in entry.read_bytes():
                found.append(entry.read_bytes().replace(b"\0", b" ").decode())
    return found


def scratch_of(pid: int) -> Path:
    """The folder for what goes with a run, as the run's own process was told it."""
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    argument = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[-2]
    return decoded(argument.decode()).scratch


def test_a_run_that_is_interrupted_leaves_its_logs_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    command = [sys.executable, "-m", "simulations", "real", "--where", "loopback"]
    with subprocess.Popen(
        [*command, "--nodes", "2", "--keep", str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        while not (folder / "node2.log").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        scratch = scratch_of(process.pid)
        assert processes_of(scratch), "nothing runs: this test shows nothing"
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert processes_of(scratch) == []
    assert not scratch.exists()
    left = sorted(path.name for path in folder.iterdir())
    assert [name for name in left if not name.endswith(".log")] == ["history.jsonl"]
