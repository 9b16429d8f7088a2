"""How many processors a node takes for its own."""

import os
from pathlib import Path

import pytest

from node.config.processors import available_processors

USABLE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    ("limit", "granted"),
    [("max 100000", USABLE), ("100000 100000", 1), ("50000 100000", 1), ("nonsense", USABLE)],
)
def test_a_control_groups_quota_bounds_auto(tmp_path: Path, limit: str, granted: int) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert available_processors(tmp_path) == granted


@pytest.mark.parametrize(("quota", "granted"), [("-1", USABLE), ("100000", 1)])
def test_version_1_of_control_groups_is_read_too(tmp_path: Path, quota: str, granted: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert available_processors(tmp_path) == granted


def test_without_a_control_group_affinity_decides(tmp_path: Path) -> None:
    assert available_processors(tmp_path) == USABLE
