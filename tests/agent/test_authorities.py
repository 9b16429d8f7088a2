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
from store.authority import Create
from store.errors import EntityError
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


async def test_a_plugin_that_is_not_built_cannot_be_configured(tmp_path: Path) -> None:
    settings = read(database="sqlite", sqlite_path=str(tmp_path / "authority.db"))
    await make_migrations(settings).bootstrap()
    authority = make_authority(settings)
    await authority.open()
    try:
        for name, wrong in (
            ("ai-proxy", "is not available: this version of grapevine doesn't run it yet"),
            ("my-own", "not enabled; add it to the 'plugins' configuration property"),
        ):
            with pytest.raises(EntityError) as caught:
                await authority.write([Create("plugins", {"name": name})], origin="")
            assert caught.value.fields == {"name": f"plugin '{name}' {wrong}"}
    finally:
        await authority.close()


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
