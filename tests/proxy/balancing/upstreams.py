"""Upstreams and targets as the agent sends them."""

import json
import uuid
from typing import Any

from node.channel import Change


def upstream(name: str, upstream_id: str | None = None, **fields: Any) -> Change:
    """A change that stores an upstream."""
    entity = {"id": upstream_id or str(uuid.uuid4()), "name": name, **fields}
    return ("upstreams", entity["id"], json.dumps(entity))


def target(of: Change, address: str, target_id: str | None = None, weight: int = 100) -> Change:
    """A change that stores a target, ``host:port``, of an upstream."""
    entity = {
        "id": target_id or str(uuid.uuid4()),
        "upstream": {"id": of[1]},
        "target": address,
        "weight": weight,
    }
    return ("targets", str(entity["id"]), json.dumps(entity))
