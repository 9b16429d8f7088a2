"""`make test` stays short because what costs much is marked, and `make check` runs that too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rings import (
    MARKERS,
    PROCESSOR_SECONDS_MAX,
    first_few,
    no_test_is_long_unmarked,
    processor_seconds,
    too_long,
)

ROOT = Path(__file__).resolve().parents[1]


def test_a_test_that_costs_too_much_is_told_how_to_mark_it(request: pytest.FixtureRequest) -> None:
    assert too_long(PROCESSOR_SECONDS_MAX, request.node) == ""
    told = too_long(PROCESSOR_SECONDS_MAX + 1, request.node)
    assert request.node.nodeid in told
    assert "@pytest.mark.long" in told


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marked_one_may_cost_more(request: pytest.FixtureRequest, marker: str) -> None:
    request.node.add_marker(marker)
    assert too_long(PROCESSOR_SECONDS_MAX * 10, request.node) == ""


def test_every_test_is_measured(request: pytest.FixtureRequest) -> None:
    assert no_test_is_long_unmarked.__name__ in request.fixturenames


def test_what_children_spent_counts() -> None:
    before = processor_seconds()
    spend = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-I", "-S", "-c", spend], check=True, timeout=60)
    assert processor_seconds() - before >= 0.2


def test_all_but_the_first_parameters_are_long() -> None:
    first, *others = first_few("abc")
    assert first == "a"
    assert [other.values for other in others] == [("b",), ("c",)]
    assert all([mark.name for mark in other.marks] == ["long"] for other in others)


def test_make_check_runs_what_make_test_leaves_out() -> None:
    surroundings = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    run = subprocess.run(
        ["make", "--dry-run", "check"],
        cwd=ROOT,
        env=surroundings,  # no flags of a make that runs this test
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for selected in (" and ".join(f"not {marker}" for marker in MARKERS), *MARKERS):
        assert f" -m '{selected}'" in run.stdout
