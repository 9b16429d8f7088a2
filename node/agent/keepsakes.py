"""What a node keeps in its prefix so that it can start with the authority away.

``keyring``: the authority's id, its cluster key, and the cluster's keys, wrapped. ``peers.json``:
where other members were last.
"""

import base64
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gossip.address import Address, format_address, parse_address
from gossip.keyring import KEY_BYTES
from node import logs
from node.agent.limits import KEEPSAKE_BYTES_MAX, PEERS_KEPT_MAX
from node.agent.prefix import store_json

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
    stored = _load(prefix / "keyring")
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


def load_peers(prefix: Path) -> list[Address]:
    """Where other members were; empty when nothing is kept."""
    stored = _load(prefix / "peers.json")
    if stored is None:
        return []
    try:
        return [parse_address(text) for text in stored["peers"]][:PEERS_KEPT_MAX]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("the list of peers is damaged and left out", reason=str(error))
        return []


def store_peers(prefix: Path, peers: Sequence[Address]) -> None:
    """Keep the peers' addresses. Raises OSError."""
    store_json(prefix / "peers.json", {"peers": [format_address(one) for one in peers]})


def _load(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            stored = json.loads(file.read(KEEPSAKE_BYTES_MAX))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("a file of the prefix can't be read", path=path, reason=str(error))
        return None
    return stored if isinstance(stored, dict) else None
