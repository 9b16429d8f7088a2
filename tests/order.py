"""In which order tests run: first those that start processes, which wait more than they compute.

``make test`` gives each of its test processes one stretch of that order; it has one more of them
than there are processors. So the first goes through what waits while the others compute, hardly
ever two clusters come up at once, and at the end, when each takes from another's stretch what that
has not come to, there are many small tests left to share.
"""

from pathlib import Path

import pytest

WAITING = ("system", "deploy", "demo", "setup")
"""Folders of tests that start processes. Those of other folders do so by the way."""

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not waits(item.path))


def waits(path: Path) -> bool:
    """Whether a file's tests belong to those that wait."""
    return path.is_relative_to(HERE) and path.relative_to(HERE).parts[0] in WAITING
