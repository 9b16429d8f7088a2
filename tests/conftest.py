"""Fixtures that all tests may use, and how many tests run at a time."""

import os

pytest_plugins = ("tests.postgres_server",)


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor: the long tests wait for processes, ports and time-outs."""
    if hasattr(os, "sched_getaffinity"):
        return 2 * len(os.sched_getaffinity(0))
    return 2 * (os.cpu_count() or 1)
