"""What a node keeps in its prefix so that it can start with the authority away.

``keyring``: the authority's id, its cluster key, and the cluster's keys, wrapped.
"""

import base64
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from gossip.keyring import KEY_BYTES
from node import logs
from node.agent.limits import KEEPSAKE_BYTES_MAX
from node.agent.prefix import load_json, store_json

log = logs.get("node")


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """The content of ``<prefix>/keyring``."""

    authority_id: str = ""
    """Of the authority that the rest is from; empty before it was first reached."""
    cluster_key: bytes | None = field(default=None, repr=False)
    """What that authority's bootstrap drew."""
    wrapped: bytes | None = field(default=None, repr=False)
    """The cluster's keys after the newest change, as ``node.agent.wrapping`` makes it."""


def load_keys(prefix: Path) -> KeptKeys:
    """What is kept of the keys; nothing when it is damaged (then the authority is asked)."""
    stored = load_json(prefix / "keyring", KEEPSAKE_BYTES_MAX)
    if stored is None:
        return KeptKeys()
    try:
        authority_id = stored.get("authority_id", "")
        cluster_key = _decoded(stored.get("cluster_key"))
        if cluster_key is not None and len(cluster_key) != KEY_BYTES:
            raise ValueError(f"the cluster key has not {KEY_BYTES} bytes")
        if authority_id:
            authority_id = str(uuid.UUID(authority_id))
        return KeptKeys(authority_id, cluster_key, _decoded(stored.get("keyring")))
    except (TypeError, ValueError, AttributeError) as error:
        log.warning("the keyring is damaged and will be written anew", reason=str(error))
        return KeptKeys()


def store_keys(prefix: Path, kept: KeptKeys) -> None:
    """Keep the keys. Raises OSError."""
    content = {
        "authority_id": kept.authority_id,
        "cluster_key": _encoded(kept.cluster_key),
        "keyring": _encoded(kept.wrapped),
    }
    store_json(prefix / "keyring", {name: value for name, value in content.items() if value})


def _encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
