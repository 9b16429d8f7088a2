"""Fixtures that all tests may use; how many tests run at a time, and in which order."""

import os
from collections import Counter
from pathlib import Path

import pytest

pytest_plugins = ("tests.postgres_server",)

_WAITING = ("system", "deploy", "setup")
"""Folders of tests that start processes, and mostly wait for them."""
_HERE = Path(__file__).parent


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: see ``_WAITING``."""
    if hasattr(os, "sched_getaffinity"):
        return 1 + len(os.sched_getaffinity(0))
    return 1 + (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait evenly among those that compute: both go on side by side."""
    count = Counter(_waits(item) for item in items)
    seen: Counter[bool] = Counter()
    places: dict[Path, float] = {}
    for item in items:
        waits = _waits(item)
        places.setdefault(item.path, seen[waits] / count[waits])
        seen[waits] += 1
    items.sort(key=lambda item: places[item.path])


def _waits(item: pytest.Item) -> bool:
    return item.path.relative_to(_HERE).parts[0] in _WAITING
