"""What bootstrap puts into a new authority, whatever its engine."""

import random
import uuid
from typing import Any

from store.migrations.catalogue import Migration
from store.version import GENESIS_DIGEST


def first_rows(rng: random.Random, migrations: tuple[Migration, ...]) -> dict[str, dict[str, Any]]:
    """By table: an authority id, a cluster key, and the head of epoch 1."""
    return {
        "authority": {
            "singleton": 1,
            "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "cluster_key": rng.randbytes(32),
            "schema_version": max(item.number for item in migrations if item.phase == "pre"),
        },
        "head": {
            "singleton": 1,
            "epoch": 1,
            "tag": rng.randbytes(8),
            "revision": 0,
            "chain": GENESIS_DIGEST,
        },
    }
