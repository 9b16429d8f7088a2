"""Whoever lacks something is told the one line to type, and finds nothing left behind."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.setup.checkout import Checkout, Outcome

SHELLS = [
    [path, *rest]
    for name, *rest in (["dash"], ["bash", "--posix"], ["busybox", "sh"], ["mksh"])
    if (path := shutil.which(name))
]


def lines_to_type(outcome: Outcome) -> list[str]:
    """What setup asks to be typed: its indented lines."""
    return [line.strip() for line in outcome.said.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: os.path.basename(shell[0]))
def test_without_any_python_each_system_gets_its_line(checkout: Checkout, shell: list[str]) -> None:
    before = checkout.files()
    outcome = checkout.setup(shell=shell)
    assert outcome.status == 1
    assert lines_to_type(outcome) == [
        "sudo apt-get install -y python3 python3-venv",
        "sudo dnf install -y python3",
        "brew install python@3.13",
    ]
    assert checkout.files() == before


def test_an_old_python_does_not_count(checkout: Checkout) -> None:
    before = checkout.files()
    checkout.add_played_python("python3", version=(3, 10))
    outcome = checkout.setup()
    assert outcome.status == 1
    assert "no CPython 3.11 to 3.14" in outcome.said
    assert len(lines_to_type(outcome)) == 3
    assert checkout.files() == before


def test_a_python_newer_than_the_tested_ones_does_not_count(checkout: Checkout) -> None:
    checkout.add_played_python("python3", version=(3, 15))
    outcome = checkout.setup()
    assert outcome.status == 1
    assert "no CPython 3.11 to 3.14" in outcome.said


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_without_the_venv_module_the_debian_package_is_named(
    checkout: Checkout, module: str
) -> None:
    before = checkout.files()
    checkout.add_played_python("python3", without=[module])
    outcome = checkout.setup()
    assert outcome.status == 1
    assert lines_to_type(outcome) == ["sudo apt-get install -y python3-venv"]
    assert checkout.files() == before


def test_the_venv_package_of_a_second_python_has_its_number(checkout: Checkout) -> None:
    """`python3-venv` would install for the old `python3` and the next run would ask again."""
    checkout.add_played_python("python3", version=(3, 10))
    checkout.add_played_python("python3.12", version=(3, 12), without=["ensurepip"])
    assert lines_to_type(checkout.setup()) == ["sudo apt-get install -y python3.12-venv"]


def test_a_python_built_without_sqlite_is_named_with_what_it_lacks(checkout: Checkout) -> None:
    played = checkout.add_played_python("python3", without=["sqlite3"])
    outcome = checkout.setup()
    assert outcome.status == 1
    assert f"{played} was built without the modules sqlite3" in outcome.said


def test_the_newest_python_that_really_works_is_taken(checkout: Checkout) -> None:
    checkout.add_dead_shim("python3.14")
    checkout.add_played_python("python3.13", version=(3, 13), without=["ensurepip"])
    checkout.add_played_python("python3.11", version=(3, 11))
    newest = checkout.add_played_python("python3", version=(3, 12))
    assert f"building .venv with {newest} " in checkout.setup().said


def test_a_python_named_by_hand_is_taken_or_refused_by_name(checkout: Checkout) -> None:
    checkout.add_played_python("python3", version=(3, 14))
    chosen = checkout.add_played_python("python3.11", version=(3, 11))
    assert f"building .venv with {chosen} " in checkout.setup(PYTHON="python3.11").said
    outcome = checkout.setup(PYTHON="python2")
    assert outcome.status == 1
    assert "PYTHON=python2 is not a CPython 3.11 to 3.14" in outcome.said


def test_an_environment_that_can_not_be_made_leaves_nothing(checkout: Checkout) -> None:
    before = checkout.files()
    checkout.add_played_python("python3")  # answers questions, but has no -m venv
    assert checkout.setup().status == 1
    assert checkout.files() == before


def test_an_unknown_argument_is_a_usage_error(checkout: Checkout) -> None:
    assert checkout.setup("--everything").status == 2


def test_an_environment_made_by_someone_else_is_left_alone(checkout: Checkout) -> None:
    checkout.add_real_python()
    checkout.venv.mkdir()
    precious = checkout.venv / "precious"
    precious.touch()
    outcome = checkout.setup()
    assert outcome.status == 1
    assert lines_to_type(outcome) == [f"mv '{checkout.venv}' '{checkout.venv}.mine'"]
    assert precious.exists()


def test_a_folder_with_a_colon_is_refused(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "a:b", tmp_path / "bin")
    checkout.add_real_python()
    outcome = checkout.setup()
    assert outcome.status == 1
    assert "holds a colon" in outcome.said
    assert ".venv.new" not in checkout.files()


def test_a_read_only_clone_gets_a_line_that_copies_it(checkout: Checkout) -> None:
    checkout.add_real_python()
    before = checkout.files()
    status, said = run_on_read_only_mount(checkout)
    assert status == 1
    assert f"{checkout.root} is read-only" in said
    assert f"cp -R '{checkout.root}' ~/grapevine && cd ~/grapevine && deploy/setup" in said
    assert checkout.files() == before


def run_on_read_only_mount(checkout: Checkout) -> tuple[int, str]:
    """Run setup with the checkout on a read-only bind mount, in a mount namespace of its own.

    Where there are no such namespaces (macOS, some containers) the folder's write permission is
    taken away instead, which means nothing to root: then the test fails, rather than not test.
    """
    if namespaces_work():
        in_namespace = (
            'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && '
            'PATH=$2 exec "$1/deploy/setup"'
        )
        run = subprocess.run(
            ["unshare", "-rm", "sh", "-c", in_namespace, "sh", str(checkout.root), checkout.bin],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return run.returncode, run.stderr
    if os.geteuid() == 0:
        pytest.fail("root needs mount namespaces for this test (unshare -rm); run it as a user")
    mode = checkout.root.stat().st_mode
    checkout.root.chmod(0o555)
    try:
        outcome = checkout.setup()
    finally:
        checkout.root.chmod(mode)
    return outcome.status, outcome.said


def namespaces_work() -> bool:
    unshare = shutil.which("unshare")
    return unshare is not None and (
        subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode == 0
    )
