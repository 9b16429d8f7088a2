"""The authority as the configuration names it."""

from pathlib import Path

import pytest

from node.agent.authorities import (
    database_addresses,
    make_authority,
    make_migrations,
    postgres_address,
)
from node.config.listen import HostPort
from node.config.load import load
from node.config.settings import Settings
from store.migrations.postgres_runner import PostgresMigrations
from store.migrations.sqlite_runner import SqliteMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresHost, Tls
from store.sqlite import SqliteAuthority


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(**keys: str) -> Settings:
    return load(None, {"prefix": "/p", **keys}, {})


def test_each_database_has_its_engine() -> None:
    for database, authority, migrations in (
        ("sqlite", SqliteAuthority, SqliteMigrations),
        ("postgres", PostgresAuthority, PostgresMigrations),
    ):
        settings = read(database=database)
        assert type(make_authority(settings)) is authority
        assert type(make_migrations(settings)) is migrations


def test_the_address_is_what_the_keys_say() -> None:
    address = postgres_address(
        read(
            pg_host="db1,[::1]:5433",
            pg_port="6000",
            pg_database="d",
            pg_user="u",
            pg_password="p",
            pg_schema="s",
            pg_timeout="1500",
            pg_pool_size="7",
            pg_keepalive_timeout="2000",
        )
    )
    assert address.hosts == (PostgresHost("db1", 6000), PostgresHost("::1", 5433))
    assert (address.database, address.user, address.password) == ("d", "u", "p")
    assert (address.schema, address.timeout) == ("s", 1.5)
    assert (address.connections_max, address.idle_seconds) == (7, 2.0)
    assert address.tls == Tls("disable")


@pytest.mark.parametrize(
    ("keys", "mode"),
    [
        ({}, "disable"),
        ({"pg_ssl": "on"}, "prefer"),
        ({"pg_ssl": "on", "pg_ssl_required": "on"}, "require"),
        ({"pg_ssl": "on", "pg_ssl_verify": "on"}, "verify-full"),
        ({"pg_ssl": "on", "pg_ssl_required": "on", "pg_ssl_verify": "on"}, "verify-full"),
    ],
)
def test_tls_is_what_kongs_switches_say(keys: dict[str, str], mode: str) -> None:
    assert postgres_address(read(database="postgres", **keys)).tls.mode == mode


def test_the_database_is_a_place_on_the_network_unless_it_is_local() -> None:
    servers = "/run/postgresql, db1, ::1"
    assert database_addresses(read(pg_host=servers)) == (
        HostPort("db1", 5432),
        HostPort("::1", 5432),
    )
    assert database_addresses(read(database="sqlite", pg_host=servers)) == ()
