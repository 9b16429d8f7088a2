"""A database that holds a running Kong's tables: whatever we do, they stay as they are."""

import os
import subprocess
from pathlib import Path

import pytest

from node.demo.local_postgres import find_binaries
from simulations.real.postgres import execute, fetch
from store.authority import Create, Delete, NodeRow, Put
from store.errors import MigrationRefused
from store.migrations.postgres_runner import PostgresMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress

KONGS = """
    CREATE SCHEMA tools;
    CREATE TYPE tools.mood AS ENUM ('calm', 'cross');
    CREATE TABLE schema_meta (key text, subsystem text, last_executed text, executed text[],
        pending text[], PRIMARY KEY (key, subsystem));
    INSERT INTO schema_meta VALUES ('schema_meta', 'core', '023_360_to_370', '{000_base}', '{}');
    CREATE TABLE services (id uuid PRIMARY KEY, name text UNIQUE, host text, tags text[]);
    CREATE TABLE routes (id uuid PRIMARY KEY, name text UNIQUE, paths text[],
        service_id uuid REFERENCES services (id));
    CREATE TABLE plugins (id uuid PRIMARY KEY, name text, config jsonb, cache_key text UNIQUE);
    CREATE TABLE consumers (id uuid PRIMARY KEY, username text UNIQUE, created_at timestamptz);
    CREATE TABLE tags (entity_id uuid PRIMARY KEY, entity_name text, tags text[]);
    CREATE TABLE locks (key text PRIMARY KEY, owner text, ttl timestamptz);
    CREATE TABLE parameters (key text PRIMARY KEY, value text);
    CREATE TABLE cluster_events (id uuid PRIMARY KEY, node_id uuid, channel text, data text);
    CREATE TABLE node (id integer PRIMARY KEY);
    CREATE TABLE log (id bigserial PRIMARY KEY, line text);
    CREATE FUNCTION sync_tags() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO tags VALUES (NEW.id, TG_TABLE_NAME, NEW.tags); RETURN NEW; END $$;
    CREATE TRIGGER services_sync_tags AFTER INSERT ON services
        FOR EACH ROW EXECUTE FUNCTION sync_tags();
    CREATE VIEW named AS SELECT name FROM services;
    INSERT INTO services VALUES ('7fca84d6-7d37-4a74-a7b0-93e576089a41', 'one', 'h', '{a,b}');
    INSERT INTO routes VALUES ('1ecb7ee1-02ea-4a12-a1e6-d0b5bc8f3c51', 'r', '{/}',
        '7fca84d6-7d37-4a74-a7b0-93e576089a41');
    INSERT INTO plugins VALUES ('ec1a1f6f-2aa4-4e58-93ff-b56368f19b27', 'cors', '{"a": 1}', 'k');
    INSERT INTO cluster_events VALUES ('a4407883-c166-43fd-80ca-3ca035b0cdb7', NULL, 'c', 'd');
    INSERT INTO node VALUES (1);
    INSERT INTO log (line) VALUES ('one'), ('two');
"""


def dump(address: PostgresAddress) -> bytes:
    """Everything outside our schema, as pg_dump tells it."""
    (host,) = address.hosts
    environment = {**os.environ, "PGPASSWORD": address.password, "PGSSLMODE": "disable"}
    command: list[str | Path] = [find_binaries() / "pg_dump", "-h", host.host, "-p", str(host.port)]
    command += ["-U", address.user, "--exclude-schema", address.schema, address.database]
    dumped = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    # pg_dump of late draws a word for these two lines each time.
    unstable = (b"\\restrict", b"\\unrestrict")
    return b"\n".join(line for line in dumped.splitlines() if not line.startswith(unstable))


async def use(address: PostgresAddress) -> None:
    """What a node does to its authority."""
    authority = PostgresAuthority(address)
    await authority.open()
    await authority.write(
        [
            Create("services", {"name": "one", "host": "h", "tags": ["a"]}),
            Put("routes", "r", {"paths": ["/"], "service": {"name": "one"}}),
        ],
        origin="",
    )
    await authority.write([Delete("routes", "r"), Delete("services", "one")], origin="")
    await authority.next_generation("n", 0)
    await authority.register(NodeRow("n", "gw1", 1, "127.0.0.1:8005"))
    await authority.forget("n", 1)
    await authority.state()
    await authority.close()


async def test_kongs_tables_are_byte_identical_after_bootstrap_use_and_reset(
    empty_postgres_database: PostgresAddress,
) -> None:
    address = empty_postgres_database
    await execute(address, KONGS)
    before = dump(address)
    assert b"COPY public.cluster_events" in before
    migrations = PostgresMigrations(address)
    await migrations.bootstrap()
    assert dump(address) == before
    await use(address)
    assert dump(address) == before
    await migrations.reset(address.database)
    assert dump(address) == before
    rows = await fetch(address, "SELECT 1 FROM pg_namespace WHERE nspname = 'grapevine'")
    assert rows == []


async def test_kongs_own_schema_is_refused_by_name(
    empty_postgres_database: PostgresAddress,
) -> None:
    address = empty_postgres_database
    await execute(address, f"CREATE SCHEMA grapevine; SET search_path = grapevine; {KONGS}")
    before = dump(address)
    with pytest.raises(
        MigrationRefused,
        match=r"schema grapevine of database .* aren't grapevine's \(cluster_events, consumers, .*"
        r" and 2 more\); name another schema with pg_schema",
    ):
        await PostgresMigrations(address).bootstrap()
    assert dump(address) == before
