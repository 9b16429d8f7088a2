"""What waits runs first, and `make test` has one process more than there are processors."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.order import HERE, WAITING, pytest_collection_modifyitems


def test_tests_of_processes_come_first_and_each_kind_stays_in_its_order() -> None:
    paths = [
        "agent/test_a.py",
        "system/test_b.py",
        "test_c.py",
        "deploy/test_d.py",
        "top/test_e.py",
    ]
    items: list[Any] = [SimpleNamespace(path=HERE / path) for path in paths]
    pytest_collection_modifyitems(items)
    assert [item.path for item in items] == [HERE / paths[place] for place in (1, 3, 0, 2, 4)]


def test_the_folders_of_tests_that_wait_are_there() -> None:
    assert all(list((HERE / folder).glob("test_*.py")) for folder in WAITING)


def test_make_test_runs_one_process_more_than_there_are_processors_if_not_told() -> None:
    def processes(*variables: str) -> str:
        surroundings = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        made = subprocess.run(
            ["make", "--dry-run", "test", *variables],
            cwd=Path(HERE).parent,
            env=surroundings,  # no flags of a make that runs this test
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        _, _, words = made.stdout.partition(" -n ")
        written = words.partition(" --dist worksteal")[0]
        shell = ["sh", "-c", f"printf %s {written}"]
        return subprocess.run(shell, capture_output=True, text=True, check=True).stdout

    there = subprocess.run(["getconf", "_NPROCESSORS_ONLN"], capture_output=True, check=True)
    assert int(processes()) == int(there.stdout) + 1
    assert processes("JOBS=5") == "5"
