"""A new authority's database in the model: the migrations' tables and what bootstrap puts there."""

import random

from simulations.authority.bootstrap import first_rows
from simulations.authority.postgres.tables import Database
from store.migrations import catalogue


def bootstrapped(rng: random.Random) -> Database:
    """As ``store.migrations.postgres_runner`` leaves it."""
    database = Database()
    migrations = catalogue.load("postgres")
    for migration in migrations:
        database.define(migration.sql)
    rows = first_rows(rng, migrations)
    rows["head"]["predecessor"] = rows["head"]["chain"]
    transaction = database.begin()
    for table, values in rows.items():
        database.insert(transaction, database.tables[table], values)
    database.commit(transaction)
    return database
