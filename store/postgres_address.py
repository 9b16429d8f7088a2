"""Where a Postgres authority is and how it is reached, and how its errors read to an operator."""

import ipaddress
import socket
import ssl
from dataclasses import dataclass, field, replace
from typing import Literal

import asyncpg

from store.errors import AuthorityUnavailable, SchemaMismatch
from store.history import Server
from store.limits import LOCK_SECONDS_MAX
from store.plan import Row
from store.read import BOOTSTRAP_NEEDED

TlsMode = Literal["disable", "prefer", "require", "verify-full"]
"""As libpq's sslmode: ``prefer`` goes on in clear with a server that doesn't offer TLS,
``require`` verifies nothing, ``verify-full`` verifies the certificate and its host name."""

FAILURES = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also: no host takes writes
)
"""What asyncpg raises, mistakes of ours aside, when the database can't be used."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Whether the connection is encrypted, and what is verified."""

    mode: TlsMode = "disable"
    ca: str = ""
    """PEM file of the certificates that ``verify-full`` trusts; empty means the system's."""
    certificate: str = ""
    """PEM file of the client's own certificate, which wants at least ``require``."""
    certificate_key: str = ""

    def argument(self) -> "str | bool | ssl.SSLContext":
        """What asyncpg takes. Raises OSError (ssl.SSLError) for files that can't be used."""
        if self.mode == "disable":
            return False
        if self.mode == "prefer" and not self.certificate:
            return "prefer"
        context = ssl.create_default_context(cafile=self.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.mode != "verify-full":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            context.load_cert_chain(self.certificate, self.certificate_key)
        return context


@dataclass(frozen=True, slots=True)
class PostgresHost:
    """One server: a name, a numeric address, or the folder of a Unix socket."""

    host: str
    port: int = 5432

    def __str__(self) -> str:
        if self.host.startswith("/"):
            return f"{self.host}/.s.PGSQL.{self.port}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """One authority: its servers, of which the writable one is taken, its database and schema."""

    hosts: tuple[PostgresHost, ...]
    database: str
    user: str
    password: str = field(default="", repr=False)
    schema: str = "grapevine"
    """Holds our tables and no others; nothing outside it is touched."""
    timeout: float = 5.0
    """Seconds: bounds connecting, waiting for a free connection, and each statement."""
    tls: Tls = Tls()
    listen_hosts: tuple[PostgresHost, ...] = ()
    """Where to listen for commits, if ``hosts`` is a pooler."""
    connections_max: int = 5
    read_only: bool = False
    """Whether a server that takes no writes will do: a standby that is read from."""
    idle_seconds: float = 4.0
    """How long an unused connection is kept; 0 keeps it for as long as the server does."""

    def for_listening(self) -> "PostgresAddress":
        """The same authority without a pooler before it."""
        return replace(self, hosts=self.listen_hosts or self.hosts)

    def __str__(self) -> str:
        return f"database {self.database} at {', '.join(str(host) for host in self.hosts)}"


def unavailable(error: BaseException, address: PostgresAddress) -> AuthorityUnavailable:
    """What a failed statement means; missing tables are SchemaMismatch (also after a reset)."""
    if isinstance(error, AuthorityUnavailable):
        return error
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InvalidSchemaNameError):
        return SchemaMismatch(f"{address}: {BOOTSTRAP_NEEDED}")
    return AuthorityUnavailable(f"{address}: {reason(error, address)}")


def reason(error: BaseException, address: PostgresAddress) -> str:
    """Why it failed and the way out, without the address. Holds no secret: neither asyncpg's nor
    the server's messages repeat the password."""
    for kinds, text in (
        (TimeoutError, f"no answer in {address.timeout:g} s (pg_timeout)"),
        (ConnectionRefusedError, "connection refused; start Postgres, or check pg_host, pg_port"),
        (socket.gaierror, "the name does not resolve; check pg_host"),
        (FileNotFoundError, "no such socket; start Postgres, or check pg_host, pg_port"),
        (
            asyncpg.TargetServerAttributeNotMatched,
            "is read-only (a standby); name the primary too in pg_host",
        ),
        (
            asyncpg.LockNotAvailableError,
            f"another transaction holds what this one needs for over {LOCK_SECONDS_MAX:g} s; "
            "try again",
        ),
    ):
        if isinstance(error, kinds):
            return text
    message = " ".join(str(error).split()) or type(error).__name__
    for kinds, way_out in (
        (ssl.SSLCertVerificationError, "check pg_ssl_ca, and that pg_host is a name in it"),
        (ssl.SSLError, "check pg_ssl_cert and pg_ssl_cert_key, and what the server allows"),
        (asyncpg.InvalidAuthorizationSpecificationError, "check pg_user, pg_password, pg_hba.conf"),
        (asyncpg.InvalidCatalogNameError, "create it, or check pg_database"),
        (asyncpg.InsufficientPrivilegeError, f"grant it to {address.user}, or check pg_user"),
        (asyncpg.TooManyConnectionsError, "raise the server's max_connections"),
    ):
        if isinstance(error, kinds):
            return f"{message}; {way_out}"
    if "rejected SSL upgrade" in message:  # asyncpg has no type of its own for it
        return "offers no TLS; turn it on there, or set pg_ssl_required and pg_ssl_verify to off"
    return message


def server_of(row: Row, connected: PostgresHost) -> Server:
    """Which server has answered ``Dialect.server`` over a connection made to a host of ours.

    A loopback address or a socket says nothing without its machine: where we have connected to, or
    this one.
    """
    address, port, wal_file = row
    timeline = int(wal_file[:8], 16)
    server = connected if address is None else PostgresHost(address, port)
    if not _is_local(server.host):
        return Server(str(server), timeline)
    machine = socket.gethostname() if _is_local(connected.host) else connected.host
    return Server(f"{machine}/{server}", timeline)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("/")
