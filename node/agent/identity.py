"""Who this node is, kept in its prefix: node id, generation and incarnation.

The node id is drawn once. The generation counts process lives: it is raised and stored before the
first packet leaves, and never taken from a clock (CASSANDRA-10969). The incarnation is stored as it
grows, so that a restarted node refutes old claims about itself at once.
"""

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

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
