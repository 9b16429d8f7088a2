"""The node that runs in a prefix: found by its lock, known by what it notes there.

``<prefix>/grapevine.pid`` is locked by a node as long as it lives, so a file that a killed node has
left behind is told from a running one whatever its number means by now. ``<prefix>/running.json``
says where it answers and how it was started: that is how a command finds it by ``-p`` alone.
"""

import dataclasses
import fcntl
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from node.agent.prefix import PID_FILE, store_json
from node.cli.failure import Failure
from node.cli.limits import FACTS_BYTES_MAX, PID_FILE_BYTES_MAX, POLL_SECONDS
from node.config.listen import ListenAddress, parse_listeners
from node.config.settings import Settings, keys

FACTS_FILE = "running.json"

Listeners = tuple[ListenAddress, ...]


class RunningNode(NamedTuple):
    """A node that held the lock of its prefix when it was looked for."""

    prefix: Path
    pid: int
    """Of its supervisor."""

    @property
    def runs(self) -> bool:
        """Whether this very process still runs there."""
        return find(self.prefix) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor; one that has ended meanwhile is no error."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise Failure(f"process {self.pid} is another user's; run this as that user") from None

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, at most so long; whether it came."""
        deadline = time.monotonic() + seconds
        while self.runs:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def kill(self) -> None:
        """End it at once; a daemon's workers too, which share its session with nobody else."""
        try:
            if os.getsid(self.pid) == os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.signal(signal.SIGKILL)


def find(prefix: Path) -> RunningNode | None:
    """The node that runs in this prefix, None without one. Fails when the file can't be read."""
    try:
        descriptor = os.open(prefix / PID_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(
            f"{prefix / PID_FILE} can't be read: {error.strerror}; run this as the node's user"
        ) from None
    try:
        pid = _pid(os.read(descriptor, PID_FILE_BYTES_MAX))
        # A dead process's number first: trying the lock could be in the way of a starting node.
        if pid is None or not _exists(pid) or not _is_locked(descriptor):
            return None
    finally:
        os.close(descriptor)
    return RunningNode(prefix, pid)


def _pid(text: bytes) -> int | None:
    digits = text.strip()
    return int(digits) if digits.isdigit() and int(digits) > 0 else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node notes in its prefix for these commands. Holds no secret."""

    conf: str | None
    """The file it reads, absolute; None without one."""
    status_listen: Listeners
    admin_listen: Listeners
    shutdown_timeout: float
    """In seconds, as it was when the node started."""
    log: str
    """Where the node's log goes: a path, /dev/stderr, …"""
    reloads: int = 0
    """How often the configuration was read again."""
    problems: tuple[str, ...] = ()
    """Why the last reading was refused; none when it wasn't."""


def facts_of(settings: Settings) -> Facts:
    """What a node with these settings notes when it starts."""
    return Facts(
        None if settings.source == "none" else os.path.abspath(settings.source),
        settings.status_listen,
        settings.admin_listen,
        settings.shutdown_timeout,
        settings.proxy_error_log,
    )


def note(prefix: Path, facts: Facts) -> None:
    """Write the facts so that a reader finds the old ones or the new ones. Raises OSError."""
    fields: dict[str, Any] = {
        **dataclasses.asdict(facts),
        "status_listen": _listeners_text(facts.status_listen),
        "admin_listen": _listeners_text(facts.admin_listen),
    }
    store_json(prefix / FACTS_FILE, fields)


def known(prefix: Path) -> Facts | None:
    """What the node in this prefix, running or not, has noted; None when that is of no use."""
    try:
        with (prefix / FACTS_FILE).open("rb") as file:
            fields = json.loads(file.read(FACTS_BYTES_MAX))
        conf, log, problems = fields["conf"], fields["log"], tuple(fields["problems"])
        texts = (log, *problems) if conf is None else (conf, log, *problems)
        if not all(isinstance(text, str) for text in texts):
            return None
        return Facts(
            conf,
            parse_listeners(fields["status_listen"]),
            parse_listeners(fields["admin_listen"]),
            float(fields["shutdown_timeout"]),
            log,
            int(fields["reloads"]),
            problems,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def shutdown_timeout(prefix: Path) -> float:
    """How long the node in this prefix drains on TERM, in seconds; the default when unknown."""
    facts = known(prefix)
    if facts is not None:
        return facts.shutdown_timeout
    row = next(row for row in keys() if row.field == "shutdown_timeout")
    seconds: float = row.parse(row.default or "")
    return seconds


def _listeners_text(listeners: Sequence[ListenAddress]) -> str:
    return ", ".join(str(listener) for listener in listeners) or "off"
