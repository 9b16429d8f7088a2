"""What a node keeps in its prefix so that it can start with the authority away.

``keyring``: the authority's id and the cluster key. ``peers.json``: where other members were last.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossip.address import Address, format_address, parse_address
from node import logs
from node.agent.limits import KEEPSAKE_BYTES_MAX, PEERS_KEPT_MAX
from node.agent.prefix import store_json
from store.authority import AuthorityInfo

log = logs.get("node")


@dataclass(frozen=True, slots=True)
class Keyring:
    """What tells this cluster from others."""

    authority_id: str
    cluster_key: bytes


def load_keyring(prefix: Path) -> Keyring | None:
    """The keyring; None when there is none or it is damaged (then the authority is asked)."""
    stored = _load(prefix / "keyring")
    if stored is None:
        return None
    try:
        key = base64.b64decode(stored["cluster_key"], validate=True)
        if len(key) != 32:
            raise ValueError("the cluster key has not 32 bytes")
        return Keyring(str(uuid.UUID(stored["authority_id"])), key)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        log.warning("the keyring is damaged and will be written anew", reason=str(error))
        return None


def store_keyring(prefix: Path, info: AuthorityInfo) -> None:
    """Keep what the authority says. Raises OSError."""
    key = base64.b64encode(info.cluster_key).decode()
    store_json(prefix / "keyring", {"authority_id": info.id, "cluster_key": key})


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
