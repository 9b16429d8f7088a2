"""The table of what goes wrong (DESIGN 10) in docs/simulations.md says what there is."""

import re
from pathlib import Path

import pytest

from simulations.faults import FAULTS
from simulations.scenarios import SCENARIOS
from simulations.whole.faults import FAULTS as WHOLE_FAULTS
from tests.simulations.test_whole import RUN_HERE

ROOT = Path(__file__).resolve().parents[2]
_NAMES = re.compile(r"`([^`]+)`")
_ROWS = 16
"""Of DESIGN 10."""


def rows() -> dict[str, tuple[str, str]]:
    """What happens -> what simulates it, and what tests it by real processes."""
    text = (ROOT / "docs/simulations.md").read_text()
    section = text.partition("## What goes wrong, row by row\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    assert lines[0] == ["what happens", "simulated", "by real processes"]
    return {line[0]: (line[1], line[2] if len(line) > 2 else "") for line in lines[1:]}


def test_all_rows_are_there() -> None:
    assert len(rows()) == _ROWS


@pytest.mark.parametrize("row", rows())
def test_each_row_is_told_by_a_scenario_that_is_run(row: str) -> None:
    names = _NAMES.findall(rows()[row][0])
    faults = [fault.__name__ for fault in (*FAULTS, *WHOLE_FAULTS)]
    assert [name for name in names if name not in SCENARIOS and name not in faults] == []
    assert names
    assert names[0] in RUN_HERE, "the first is a story that test_whole runs"


@pytest.mark.parametrize("row", rows())
def test_each_test_that_a_row_names_is_there(row: str) -> None:
    paths = _NAMES.findall(rows()[row][1])
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_each_story_of_whole_nodes_is_of_a_row() -> None:
    told = [name for simulated, _ in rows().values() for name in _NAMES.findall(simulated)]
    assert [name for name in RUN_HERE if name not in told] == []
