"""``deploy/test-tools``: what the tests drive beside Python, named before they run."""

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "test-tools"


def run(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPT), *arguments]
    environment = None if path is None else {"PATH": path}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_where_nothing_is_missing_it_says_nothing() -> None:
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_missing_is_one_line_to_type(tmp_path: Path) -> None:
    done = run(path=str(tmp_path))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("  ")]
    assert line.startswith("  sudo apt-get install -y ")
    assert "curl" in line.split()
    packages = run("--packages", path=str(tmp_path))
    assert packages.returncode == 0
    assert packages.stdout.split() == line.split()[4:]


def test_an_unknown_argument_is_a_usage_error() -> None:
    assert run("--help-me").returncode == 2
