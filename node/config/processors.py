"""How many processors this process may use: the machine's, its affinity's, its control group's."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Inside a container this is the container's own group (control group version 2)."""


def available_processors(cgroup: Path = CGROUP) -> int:
    """The processors that can be busy at once, at least 1; what ``auto`` means.

    A container with a quota of 2 on a machine of 64 gets 2: a worker more would only wait.
    """
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        usable = os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, usable if quota is None else min(usable, quota))


def _quota(cgroup: Path) -> int | None:
    """Processors granted by the control group, rounded up; None without a limit."""
    try:
        granted, period = (cgroup / "cpu.max").read_text().split()
        return None if granted == "max" else math.ceil(int(granted) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:  # version 1
        granted_us = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text())
        period_us = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
        return math.ceil(granted_us / period_us) if granted_us > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
