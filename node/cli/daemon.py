"""``grapevine run`` as a daemon: a session of its own, no terminal, its output in the prefix.

What would go to standard output or error goes to two files of the prefix, so that a configuration
written for containers (/dev/stdout, /dev/stderr) loses no line here, and they rotate like others.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node.cli.configuration import Asked
from node.cli.failure import Failure
from node.cli.limits import ASSIGNMENTS_BYTES_MAX, LOG_TAIL_BYTES, LOG_TAIL_LINES
from node.config.derived import LOG_FIELDS
from node.config.settings import Settings

STDOUT_FILE = "logs/access.log"
STDERR_FILE = "logs/error.log"


def for_daemon(settings: Settings) -> Settings:
    """The settings with files in place of the standard streams."""
    files = {
        "/dev/stdout": str(settings.prefix / STDOUT_FILE),
        "/dev/stderr": str(settings.prefix / STDERR_FILE),
    }
    changed: dict[str, Any] = {}
    for name in LOG_FIELDS:
        destination = getattr(settings, name)
        changed[name] = files.get(destination, destination)
    return dataclasses.replace(settings, **changed)


def spawn(settings: Settings, asked: Asked) -> "subprocess.Popen[bytes]":
    """Start the daemon on a configuration that was read here. Fails when it can't be started.

    Its command line shows file and prefix to whoever looks; values of ``--set``, which may be
    secrets, go through a pipe. Both are absolute, since a daemon's working directory is ``/``.
    """
    words = [sys.executable, "-P", "-m", "node", "run", "--daemon", "-p", str(settings.prefix)]
    if settings.source != "none":
        words += ["-c", os.path.abspath(settings.source)]
    if asked.ignored:
        words += ["--ignore-unsupported", asked.ignored]
    theirs, ours = os.pipe()
    if asked.assignments:
        words += ["--assignments-fd", str(theirs)]
    try:
        with os.fdopen(_open_log(settings.prefix / STDERR_FILE), "ab") as stderr:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd="/",
                start_new_session=True,
                pass_fds=[theirs],
            )
    except OSError as error:
        raise Failure(f"can't start {sys.executable}: {error.strerror}") from None
    finally:
        os.close(theirs)
    _send(ours, asked.assignments)
    return process


def _send(descriptor: int, assignments: Sequence[str]) -> None:
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            pipe.write(json.dumps(assignments).encode())
    except BrokenPipeError:
        pass  # the daemon has ended already; its exit code and its log will tell


def read_assignments(descriptor: int) -> tuple[str, ...]:
    """The other end of spawn()'s pipe. Raises ValueError when it carries anything else."""
    with os.fdopen(descriptor, "rb") as pipe:
        assignments = json.loads(pipe.read(ASSIGNMENTS_BYTES_MAX))
    if not isinstance(assignments, list) or not all(isinstance(each, str) for each in assignments):
        raise ValueError("the descriptor carries no list of assignments")
    return tuple(assignments)


def _open_log(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failure(f"{path} can't be opened: {error.strerror}") from None


class LogTail:
    """What a daemon's log gets from now on."""

    def __init__(self, settings: Settings) -> None:
        error_log = for_daemon(settings).proxy_error_log
        paths = dict.fromkeys((str(settings.prefix / STDERR_FILE), error_log))
        self.paths = [Path(path) for path in paths if path != "off"]
        self._from = [_size(path) for path in self.paths]

    def lines(self) -> list[str]:
        """Its last lines since then, at most LOG_TAIL_LINES of each file."""
        return [
            line
            for path, start in zip(self.paths, self._from, strict=True)
            for line in _end_of(path, start).splitlines()[-LOG_TAIL_LINES:]
        ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _end_of(path: Path, start: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(start, _size(path) - LOG_TAIL_BYTES))
            return file.read(LOG_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
