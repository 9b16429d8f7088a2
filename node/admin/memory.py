"""How much memory a process holds, and how Kong prints it (kong/tools/string.lua)."""

import os
from pathlib import Path

from node.admin.errors import Refusal

_UNITS = {"b": 0, "k": 1, "m": 2, "g": 3}
SCALE_DIGITS_MAX = 8


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where the system doesn't tell (no /proc) or it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def format_bytes(size: int, unit: str, scale: int) -> str | int:
    """A size in ``unit`` (b, k, m or g) with ``scale`` decimals: ``1.50 MiB``; a number for b.

    Raises Refusal for another unit.
    """
    power = _UNITS.get(unit.lower())
    if power is None:
        raise Refusal(400, f"invalid unit '{unit[:32]}' (expected 'k/K', 'm/M', or 'g/G')")
    if power == 0:
        return size
    return f"{size / 1024**power:.{scale}f} {unit.upper()}iB"
