"""The prefix: the folder of all of a node's files, locked by the process that runs there."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node import logs

log = logs.get("node")

PID_FILE = "grapevine.pid"


class PrefixError(Exception):
    """The prefix can't be used; the message says why and what to do."""


def prepare_prefix(prefix: Path) -> None:
    """Make the prefix with mode 0700 if it isn't there. Raises PrefixError."""
    try:
        prefix.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(prefix, os.W_OK | os.X_OK):
            raise PrefixError(f"prefix: {prefix} is not writable; set prefix to a folder that is")
    except OSError as error:
        raise PrefixError(
            f"prefix: {prefix} can't be made ({error.strerror}); set prefix to a writable folder"
        ) from error


def lock_prefix(prefix: Path) -> int:
    """Take the prefix for this process and write its pid there; answers the lock's descriptor.

    The lock lives as long as the descriptor, so a killed node leaves none behind. Raises
    PrefixError when another node runs in this prefix.
    """
    path = prefix / PID_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise PrefixError(
            f"grapevine is already running in {prefix}; stop it, or give this node another prefix"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def store_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a small file so that after a crash it is the old one or the new one. Raises OSError."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_json(path: Path, bytes_max: int) -> dict[str, Any] | None:
    """Read such a file; None when it isn't there or, with a warning, can't be read."""
    try:
        with path.open("rb") as file:
            stored = json.loads(file.read(bytes_max))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("a file of the prefix can't be read", path=path, reason=str(error))
        return None
    return stored if isinstance(stored, dict) else None
