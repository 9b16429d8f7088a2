"""Files that can't be used are set aside under a dated name; the newest few are kept."""

from pathlib import Path

from store.replica_file.limits import ASIDE_MAX

COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a file; of no use without it, and harmful beside another."""


def set_aside(path: Path, stamp: str) -> Path:
    """Rename the file and its write-ahead log; answers the new name. Raises OSError.

    ``stamp`` is a time as ``20261126T134500Z``: names sort by age. The main file goes first: a
    write-ahead log that a crash leaves behind alone is removed by the next ``clear_companions``.
    """
    target = path.with_name(f"{path.name}.{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{stamp}-{number}")
    path.rename(target)
    log = companion(path, "-wal")
    if log.exists():
        log.rename(companion(target, "-wal"))
    companion(path, "-shm").unlink(missing_ok=True)
    for old in kept_aside(path)[:-ASIDE_MAX]:
        companion(old, "-wal").unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    return target


def kept_aside(path: Path) -> list[Path]:
    """Files that were set aside, the oldest first."""
    found = path.parent.glob(f"{path.name}.[0-9]*")
    return sorted(item for item in found if not item.name.endswith(COMPANIONS))


def clear_companions(path: Path) -> None:
    """Remove what belonged to a file that is gone: SQLite would replay it into a new one."""
    if not path.exists():
        for suffix in COMPANIONS:
            companion(path, suffix).unlink(missing_ok=True)


def companion(path: Path, suffix: str) -> Path:
    """The file beside it with this suffix."""
    return path.with_name(path.name + suffix)
