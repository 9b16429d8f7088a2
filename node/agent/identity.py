"""Who this node is, kept in its prefix: node id, generation and incarnation.

The node id is drawn once. The generation counts process lives: it is raised and stored before the
first packet leaves, and never taken from a clock (CASSANDRA-10969). The incarnation is stored as it
grows, so that a restarted node refutes old claims about itself at once.
"""

import json
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from node.agent.keeper import Keeper
from node.agent.limits import IDENTITY_BYTES_MAX
from node.agent.prefix import PrefixError, store_json

GENERATION_MAX = 2**62


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """The content of ``<prefix>/identity.json``."""

    node_id: str
    """UUID, kept across restarts."""
    generation: int
    """Highest generation this prefix has used; 0 before the first start."""
    incarnation: int
    """Highest incarnation of that generation."""


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
    """Keep the identity. Raises OSError."""
    store_json(prefix / "identity.json", asdict(identity))


class OwnIdentity:
    """Who this node is while it runs. What changes is kept in the prefix.

    ``wanted`` is the name that the configuration gives it; empty for the default one.
    """

    def __init__(self, prefix: Path, stored: StoredIdentity, wanted: str, hostname: str) -> None:
        self._prefix = prefix
        self._stored = stored
        self._wanted = wanted
        self._hostname = hostname
        self._file = Keeper("the identity", self._write)
        self.name = self._first_name()
        """What it goes by now; another node may have had the first claim to its own."""

    @property
    def node_id(self) -> str:
        return self._stored.node_id

    @property
    def generation(self) -> int:
        """Of this life; before ``begin``, of the last one."""
        return self._stored.generation

    def begin(self, generation: int) -> None:
        """A life begins, stored before its first packet leaves. Raises OSError."""
        self._stored = StoredIdentity(self.node_id, generation, 1)
        self._write()

    def outlive(self, generation: int) -> None:
        """This life goes on with a higher generation."""
        self._stored = StoredIdentity(self.node_id, generation, 1)
        self._file.changed()

    def refute(self, incarnation: int) -> None:
        """The incarnation has grown."""
        self._stored = replace(self._stored, incarnation=incarnation)
        self._file.changed()

    def renew(self) -> None:
        """Be another node: this id is another process'. Stored when its first life begins."""
        self._stored = StoredIdentity(str(uuid.uuid4()), 0, 0)
        self.name = self._first_name()

    async def finish(self) -> None:
        """Wait until everything is written."""
        await self._file.finish()

    def _first_name(self) -> str:
        return self._wanted or f"{self._hostname}-{self.node_id[:4]}"

    def _write(self) -> None:
        store_identity(self._prefix, self._stored)
