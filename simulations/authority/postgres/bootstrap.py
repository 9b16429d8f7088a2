"""A new authority's database in the model: the migrations' tables and what bootstrap puts there."""

import random
import uuid

from simulations.authority.postgres.tables import Database
from store.migrations import catalogue
from store.version import GENESIS_DIGEST


def bootstrapped(rng: random.Random) -> Database:
    """As ``store.migrations.postgres_runner`` leaves it."""
    database = Database()
    migrations = catalogue.load("postgres")
    for migration in migrations:
        database.define(migration.sql)
    rows = {
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
            "predecessor": GENESIS_DIGEST,
        },
    }
    transaction = database.begin()
    for table, values in rows.items():
        database.insert(transaction, database.tables[table], values)
    database.commit(transaction)
    return database
