"""Defaults that aren't constants: they follow from other values, or from the machine."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

SYSTEM_PREFIX = Path("/var/lib/grapevine")

LOG_FIELDS = ("proxy_access_log", "proxy_error_log", "admin_access_log", "admin_error_log")
LOG_ELSEWHERE = ("off", "/dev/stdout", "/dev/stderr")


def prefix(environ: Mapping[str, str], system: Path = SYSTEM_PREFIX) -> Path:
    """The directory of a node's files when none is named. Raises ValueError without a home."""
    existing = system if system.exists() else system.parent
    if os.access(existing, os.W_OK | os.X_OK):
        return system
    state = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(state):  # a relative one is to be ignored (XDG Base Directory, 0.8)
        return Path(state) / "grapevine"
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        raise ValueError(
            f"prefix: {system} isn't writable and HOME is unset; set prefix to a directory"
        )
    return Path(home) / ".local" / "state" / "grapevine"


def database(postgres_keys: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The database when none is named, and why; takes the ``pg_*`` keys set and their origins."""
    for key, origin in postgres_keys:
        return "postgres", f"{key} is set ({origin})"
    return "sqlite", "database is unset and no pg_* key is set"


def cluster_listen(database: str) -> str:
    """Nodes of one machine share a SQLite file; those that share a Postgres need not."""
    return "0.0.0.0:8005" if database == "postgres" else "127.0.0.1:8005"


def log_path(prefix: Path, destination: str) -> str:
    """A log's destination with relative paths taken from the prefix on."""
    return destination if destination in LOG_ELSEWHERE else str(prefix / destination)
