"""The authority and its migrations as the configuration names them.

Postgres' driver is imported where it is needed: a node on SQLite does without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from node.config import plugins, postgres
from node.config.listen import HostPort
from node.config.settings import Settings
from store.authority import Authority
from store.migrations.runner import Migrations
from store.migrations.sqlite_runner import SqliteMigrations
from store.off import NoAuthority
from store.sqlite import SqliteAuthority
from store.version import EMPTY, Head, Version

if TYPE_CHECKING:
    from store.postgres_address import PostgresAddress, Tls


def make_authority(
    settings: Settings,
    known: Callable[[], Version] = lambda: EMPTY.version,
    confirmed: Callable[[], Head] = lambda: EMPTY,
) -> Authority:
    """The authority, not yet open. ``known`` is the version that reads mustn't be older than,
    ``confirmed`` the head that every write is compared with."""
    if settings.database == "off":
        return NoAuthority()
    schemas = plugins.schemas(settings.plugins)
    if settings.database == "sqlite":
        return SqliteAuthority(settings.sqlite_path, schemas=schemas, confirmed=confirmed)
    from store.postgres import PostgresAuthority

    return PostgresAuthority(
        postgres_address(settings),
        standby=_standby_address(settings),
        known=known,
        confirmed=confirmed,
        schemas=schemas,
    )


def make_migrations(settings: Settings) -> Migrations:
    """What ``grapevine migrations`` works on."""
    if settings.database == "sqlite":
        return SqliteMigrations(settings.sqlite_path)
    from store.migrations.postgres_runner import PostgresMigrations

    return PostgresMigrations(postgres_address(settings))


def database_addresses(settings: Settings) -> tuple[HostPort, ...]:
    """Where the database is reached over the network, names unresolved; none for a local one.

    The local address of the route there is what other nodes can most likely reach.
    """
    if settings.database != "postgres":
        return ()
    servers = (postgres.server(text, settings.pg_port) for text in settings.pg_host)
    return tuple(server for server in servers if not server.host.startswith("/"))


def postgres_address(settings: Settings) -> "PostgresAddress":
    """The ``pg_*`` keys in the store's terms."""
    from store.postgres_address import PostgresAddress, PostgresHost

    def hosts(texts: Sequence[str], port: int) -> tuple[PostgresHost, ...]:
        return tuple(PostgresHost(*postgres.server(text, port)) for text in texts)

    return PostgresAddress(
        hosts=hosts(settings.pg_host, settings.pg_port),
        listen_hosts=hosts(settings.pg_listen_host, settings.pg_listen_port),
        database=settings.pg_database,
        user=settings.pg_user,
        password=settings.pg_password or "",
        schema=settings.pg_schema,
        timeout=settings.pg_timeout / 1000,
        tls=_tls(settings),
        connections_max=settings.pg_pool_size,
        idle_seconds=settings.pg_keepalive_timeout / 1000,
    )


def _standby_address(settings: Settings) -> "PostgresAddress | None":
    from store.postgres_address import PostgresHost

    if not settings.pg_ro_host:
        return None
    servers = (postgres.server(text, settings.pg_ro_port) for text in settings.pg_ro_host)
    password = settings.pg_ro_password
    return replace(
        postgres_address(settings),
        hosts=tuple(PostgresHost(*server) for server in servers),
        user=settings.pg_ro_user or settings.pg_user,
        password=(settings.pg_password if password is None else password) or "",
        database=settings.pg_ro_database or settings.pg_database,
        read_only=True,
    )


def _tls(settings: Settings) -> "Tls":
    """Kong's three switches; a client's certificate is no use without TLS, and so requires it."""
    from store.postgres_address import Tls

    if not settings.pg_ssl:
        return Tls("disable")
    files = (settings.pg_ssl_ca, settings.pg_ssl_cert, settings.pg_ssl_cert_key)
    if settings.pg_ssl_verify:
        return Tls("verify-full", *files)
    if settings.pg_ssl_required or settings.pg_ssl_cert:
        return Tls("require", *files)
    return Tls("prefer")
