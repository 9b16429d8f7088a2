"""Who this node is, kept in its prefix: node id, generation and incarnation.

The node id is drawn once. The generation counts process lives: it is raised and stored before the
first packet leaves, and never taken from a clock (CASSANDRA-10969). The incarnation is stored as it
grows, so that a restarted node refutes old claims about itself at once.
"""

import fcntl
import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from node.agent.limits import IDENTITY_BYTES_MAX

GENERATION_MAX = 2**62


class PrefixError(Exception):
    """The prefix can't be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """The content of ``<prefix>/identity.json``."""

    node_id: str
    """UUID, kept across restarts."""
    generation: int
    """Highest generation this prefix has used; 0 before the first start."""
    incarnation: int
    """Highest incarnation of that generation."""


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
    path = prefix / "grapevine.pid"
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


def load_identity(prefix: Path) -> StoredIdentity:
    """Read the identity, or draw a new one. Raises PrefixError when the file is damaged."""
    path = prefix / "identity.json"
    try:
        with path.open("rb") as file:
            stored = json.loads(file.read(IDENTITY_BYTES_MAX))
        identity = StoredIdentity(
            str(uuid.UUID(stored["node_id"])), stored["generation"], stored["incarnation"]
        )
        if not all(
            isinstance(number, int) and 0 <= number < GENERATION_MAX
            for number in (identity.generation, identity.incarnation)
        ):
            raise ValueError("generation or incarnation out of range")
    except FileNotFoundError:
        return StoredIdentity(str(uuid.uuid4()), 0, 0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrefixError(
            f"{path} is damaged ({error}); remove it to give this node a new identity"
        ) from error
    return identity


def store_identity(prefix: Path, identity: StoredIdentity) -> None:
    """Write the identity so that after a crash the file is the old one or the new one."""
    path, draft = prefix / "identity.json", prefix / "identity.json.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(asdict(identity)).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)
    folder = os.open(prefix, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
