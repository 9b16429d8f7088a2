# ruff: noqa: RUF009 - key() makes a dataclass field: the calls in the class body are the table.
"""The table of configuration keys: each field of ``Settings`` is one key of the file.

A field's metadata is its row: how it is parsed, its default, its unit and its doc line. Reading,
``grapevine check``, docs/configuration.md and the error texts all come from here.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from node.config import postgres, tls, values
from node.config.keyring_file import KeyringFile, keyring_file
from node.config.limits import BACKLOG_MAX, PG_POOL_MAX
from node.config.listen import HostPort, ListenAddress, parse_listeners
from node.config.plugins import plugin_names

HIDDEN = "******"
"""What stands in place of a secret, as in Kong."""

HEADERS = (
    "server_tokens",
    "latency_tokens",
    "via",
    "server",
    "x-kong-proxy-latency",
    "x-kong-response-latency",
    "x-kong-admin-latency",
    "x-kong-upstream-latency",
    "x-kong-upstream-status",
    "x-kong-request-id",
)
SECTIONS = {
    "prefix": "The node",
    "database": "The database",
    "proxy_listen": "The proxy",
    "admin_listen": "Admin API, status API and dashboard",
    "cluster_name": "The cluster",
    "log_level": "Logs",
}
"""The title above the field with which a section begins, in docs/configuration.md."""
LOG_LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table."""

    field: str
    """The attribute of Settings."""
    name: str
    """The key in files and flags; in the environment in capitals behind GRAPEVINE_ or KONG_."""
    parse: values.Parser[Any]
    default: str | None
    """As it would stand in a file; None: no value, or one that ``derived`` describes."""
    derived: str
    """How the default comes about when it isn't a constant."""
    doc: str
    unit: str
    secret: bool
    aliases: tuple[str, ...]
    """Other names of Kong's for the same thing; within one source ``name`` wins over them."""

    @property
    def default_text(self) -> str:
        """The default as the documentation shows it."""
        return self.derived or (f"`{self.default}`" if self.default else "unset")


def key(
    parse: values.Parser[Any],
    default: str | None,
    doc: str,
    *,
    unit: str = "",
    secret: bool = False,
    derived: str = "",
    name: str = "",
    aliases: tuple[str, ...] = (),
) -> Any:
    """A field of Settings with its row of the table; ``name`` defaults to the field's own."""
    row = {
        "parse": parse,
        "default": default,
        "derived": derived,
        "doc": doc,
        "unit": unit,
        "secret": secret,
        "name": name,
        "aliases": aliases,
    }
    return dataclasses.field(metadata=row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one node, read and checked. Made by ``node.config.load.load``."""

    prefix: Path = key(
        values.path,
        None,
        "Directory that holds all of the node's files.",
        derived="`/var/lib/grapevine` when writable, else "
        "`${XDG_STATE_HOME:-~/.local/state}/grapevine`",
    )
    node_name: str | None = key(
        values.name,
        None,
        "Name of the node in the cluster; only a name set by hand can conflict.",
        derived="`<hostname>-<4 hex digits of the node id>`",
    )
    role: Literal["traditional", "control_plane", "data_plane"] = key(
        values.choice("traditional", "control_plane", "data_plane"),
        "traditional",
        "What the node does: everything, only the Admin API, or only proxying.",
        aliases=("cluster_role",),
    )
    vault_env_prefix: str = key(
        values.any_text,
        "",
        "What the names of variables begin with to which references lead, `{vault://env/NAME}`.",
    )
    nginx_worker_processes: int = key(
        values.processes,
        "auto",
        "Worker processes that proxy; `auto` is one per processor that affinity and control group "
        "leave to the node.",
        aliases=("nginx_main_worker_processes",),
    )
    shutdown_timeout: float = key(
        values.seconds(0),
        "25",
        "How long requests in flight may take to finish on TERM or INT.",
        unit="s",
    )
    plugins: tuple[str, ...] = key(
        plugin_names,
        "bundled",
        "Plugins that may be configured: `bundled`, `off`, or names.",
    )

    database: Literal["sqlite", "postgres", "off"] = key(
        values.database,
        None,
        "Where the authoritative configuration lives: `sqlite`, `postgres`, or `off`.",
        derived="`postgres` if any `pg_*` key is set, else `sqlite`",
    )
    sqlite_path: Path = key(
        values.path,
        None,
        "The SQLite file; the nodes of one machine share it by naming one path.",
        derived="`<prefix>/authority.db`",
    )
    declarative_config: Path | None = key(
        values.optional_path,
        None,
        "With `database = off`: a declarative file. The first time it seeds a cluster that has no "
        "configuration; once it has changed, a start or reload puts it in place.",
    )
    db_update_frequency: float = key(
        values.seconds(0.1),
        "5",
        "How old the cluster's newest look at the database may grow before one node looks again.",
        unit="s",
    )
    pg_host: tuple[str, ...] = key(
        postgres.servers,
        "127.0.0.1",
        "Servers, of which the writable one is taken: names, addresses, each with a port or without"
        " (`db1, db2:5433, [::1]:5432`), or the folder of a Unix socket.",
    )
    pg_port: int = key(
        values.integer(1, 65_535), "5432", "Port of the servers that are named without one."
    )
    pg_database: str = key(values.any_text, "kong", "Name of the database.")
    pg_schema: str = key(
        postgres.schema,
        "grapevine",
        "Schema that holds our tables and no others; nothing outside it is touched.",
    )
    pg_user: str = key(values.any_text, "kong", "User name.")
    pg_password: str | None = key(values.any_text, None, "The user's password.", secret=True)
    pg_timeout: int = key(
        values.integer(1, 3_600_000),
        "5000",
        "Bound on connecting, on waiting for a free connection, and on each statement.",
        unit="ms",
    )
    pg_pool_size: int = key(
        values.integer(1, PG_POOL_MAX),
        "5",
        "Most connections that a node has open; they are opened on demand.",
    )
    pg_keepalive_timeout: int = key(
        values.integer(0, 3_600_000),
        "4000",
        "How long an unused connection is kept open; 0 is no limit. Short, so that a database has"
        " no more of them the more nodes write to it now and then.",
        unit="ms",
    )
    pg_listen_host: tuple[str, ...] = key(
        postgres.servers_or_none,
        "",
        "Servers on which to listen for commits, where `pg_host` is a pooler (PgBouncer).",
        derived="`pg_host`",
    )
    pg_listen_port: int = key(
        values.integer(1, 65_535), "5432", "Port of those that are named without one."
    )
    pg_ro_host: tuple[str, ...] = key(
        postgres.servers_or_none,
        "",
        "Read replicas, one of which answers reads of the Admin API unless it lags behind this "
        "node. Timeouts and TLS are as for `pg_host`.",
    )
    pg_ro_port: int = key(
        values.integer(1, 65_535), "5432", "Port of those that are named without one."
    )
    pg_ro_user: str = key(values.any_text, "", "User name there.", derived="`pg_user`")
    pg_ro_password: str | None = key(
        values.any_text, None, "The user's password there.", secret=True, derived="`pg_password`"
    )
    pg_ro_database: str = key(
        values.any_text, "", "Name of the database there.", derived="`pg_database`"
    )
    pg_ssl: bool = key(
        values.boolean, "off", "Whether the connection is encrypted, if the server offers it."
    )
    pg_ssl_required: bool = key(
        values.boolean, "off", "Whether a server that doesn't offer TLS is refused."
    )
    pg_ssl_verify: bool = key(
        values.boolean,
        "off",
        "Whether TLS is required and the server's certificate verified, and that `pg_host` is a "
        "name in it.",
    )
    pg_ssl_ca: str = key(
        values.path,
        "",
        "PEM file of the certificates that `pg_ssl_verify` trusts.",
        derived="the system's",
    )
    pg_ssl_cert: str = key(
        values.path, "", "PEM file of the client's certificate, with which TLS is required."
    )
    pg_ssl_cert_key: str = key(values.path, "", "PEM file of that certificate's private key.")

    proxy_listen: tuple[ListenAddress, ...] = key(
        parse_listeners,
        "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 ssl reuseport backlog=16384",
        "Where clients are served, or `off`. `http2` is accepted; HTTP/1.1 is what is offered.",
    )
    ssl_cert: str = key(
        values.path, "", "PEM file of the certificate that listeners with `ssl` present."
    )
    ssl_cert_key: str = key(values.path, "", "PEM file of that certificate's private key.")
    ssl_cipher_suite: str = key(
        values.choice(*tls.SUITES),
        "intermediate",
        "Versions and ciphers of TLS: modern (1.3 alone), intermediate, old, fips (ciphers only), "
        "or custom.",
    )
    ssl_ciphers: str = key(
        values.any_text,
        "",
        "Ciphers of TLS 1.2 in OpenSSL's notation, for `ssl_cipher_suite = custom`.",
    )
    ssl_protocols: tuple[str, ...] = key(
        tls.protocols,
        "TLSv1.2 TLSv1.3",
        "Versions of TLS that clients are offered, of those in `ssl_cipher_suite`.",
    )
    ssl_session_tickets: bool = key(
        values.boolean,
        "on",
        "Whether TLS sessions are resumed, by tickets that are good for the worker that gave them.",
    )
    client_ssl: bool = key(
        values.boolean,
        "off",
        "Whether upstreams are shown a client certificate where neither service nor upstream "
        "has one.",
    )
    client_ssl_cert: str = key(
        values.path, "", "PEM file of that client certificate; without one, the node's default one."
    )
    client_ssl_cert_key: str = key(values.path, "", "PEM file of that certificate's private key.")
    lua_ssl_trusted_certificate: tuple[str, ...] = key(
        values.items,
        "system",
        "PEM files of authorities (or `system`) by which upstreams are verified where a service "
        "with `tls_verify` names none.",
    )
    trusted_ips: tuple[str, ...] = key(
        values.trusted_addresses,
        "",
        "CIDR blocks (or `unix:`) whose X-Forwarded-* and `real_ip_header` are believed.",
    )
    real_ip_header: str = key(
        values.header_name,
        "X-Real-IP",
        "Header in which a trusted address names the client's.",
        aliases=("nginx_proxy_real_ip_header",),
    )
    real_ip_recursive: bool = key(
        values.boolean,
        "off",
        "Whether the client is the last address of `real_ip_header` that isn't trusted.",
        aliases=("nginx_proxy_real_ip_recursive",),
    )
    headers: tuple[str, ...] = key(
        values.words_of(*HEADERS),
        "server_tokens, latency_tokens, X-Kong-Request-Id",
        f"Headers of ours that answers carry: `off`, or any of {', '.join(HEADERS)}.",
    )
    client_max_body_size: int = key(
        values.size,
        "0",
        "Largest request body that is forwarded; 0 is no limit.",
        unit="bytes, or with k, m, g",
        name="nginx_http_client_max_body_size",
        aliases=("client_max_body_size", "nginx_proxy_client_max_body_size"),
    )
    router_flavor: Literal["traditional_compatible", "traditional"] = key(
        values.router_flavor,
        "traditional_compatible",
        "How routes are compared: `traditional_compatible` or `traditional`.",
    )
    allow_debug_header: bool = key(
        values.boolean,
        "off",
        "Whether answers to requests with `Kong-Debug: 1` name the route and the service.",
    )
    upstream_keepalive_pool_size: int = key(
        values.integer(0, BACKLOG_MAX),
        "512",
        "Idle connections that a worker keeps to one upstream address; 0 closes them after use.",
    )
    upstream_keepalive_max_requests: int = key(
        values.integer(0, 2**31 - 1),
        "10000",
        "Requests after which an upstream connection is closed; 0 is no limit.",
    )
    upstream_keepalive_idle_timeout: float = key(
        values.seconds(0),
        "60",
        "How long an upstream connection is kept idle; 0 is no limit.",
        unit="s",
    )
    dns_resolver: tuple[HostPort, ...] = key(
        values.name_servers,
        "",
        "Name servers by which upstreams' and targets' names are resolved, as addresses with ports "
        "(53 where none is named); unset: those of /etc/resolv.conf.",
        aliases=("resolver_address",),
    )
    dns_order: tuple[str, ...] = key(
        values.record_types,
        "LAST,SRV,A,CNAME",
        "Record types in the order in which they are asked for; `LAST` is the type that was found "
        "the last time. AAAA comes last where it isn't named.",
    )
    dns_hostsfile: str = key(
        values.path,
        "/etc/hosts",
        "File of names that no server is asked for.",
        aliases=("resolver_hosts_file",),
    )
    dns_valid_ttl: float = key(
        values.seconds(0),
        "0",
        "How long servers' answers are used before they are asked for anew; 0: for their own TTL.",
        unit="s",
        aliases=("resolver_valid_ttl",),
    )

    admin_listen: tuple[ListenAddress, ...] = key(
        parse_listeners,
        "127.0.0.1:8001, 127.0.0.1:8444 ssl",
        "Where the Admin API is served, or `off`.",
    )
    admin_token: str | None = key(
        values.token, None, "What every Admin API request must then carry.", secret=True
    )
    admin_allowed_origins: tuple[str, ...] = key(
        values.origins,
        "",
        "Web origins whose pages may use the Admin API; `*` refuses none.",
    )
    admin_gui_listen: tuple[ListenAddress, ...] = key(
        parse_listeners, "off", "Where the dashboard is served, or `off`."
    )
    admin_gui_url: str = key(
        values.optional(values.url),
        "",
        "Where browsers find the dashboard; its origin may use the Admin API.",
    )
    admin_gui_path_dir: Path | None = key(
        values.optional_path, "", "The directory with Kong Manager's files; ours, not Kong's."
    )
    admin_gui_path: str = key(values.gui_path, "/", "The path that the dashboard is served below.")
    admin_gui_api_url: str = key(
        values.address_of_api,
        "",
        "Where browsers find the Admin API, if not on its port of the dashboard's host.",
    )
    admin_gui_ssl_cert: str = key(
        values.path, "", "PEM file of the dashboard's certificate; without one, `ssl_cert`'s."
    )
    admin_gui_ssl_cert_key: str = key(
        values.path, "", "PEM file of that certificate's private key."
    )
    status_listen: tuple[ListenAddress, ...] = key(
        parse_listeners,
        "127.0.0.1:8007",
        "Where /status, /status/ready and /metrics are, or `off`.",
    )

    cluster_name: str = key(
        values.name,
        "grapevine",
        "Name of the cluster; nodes of another are refused even with the same key.",
    )
    cluster_listen: HostPort = key(
        values.cluster_listen,
        None,
        "Address for gossip, UDP and TCP on one port.",
        derived="`0.0.0.0:8005` with Postgres, else `127.0.0.1:8005`",
    )
    cluster_advertise: HostPort | None = key(
        values.host_port,
        None,
        "The address that other nodes are told (NAT, containers).",
        derived="the local address of the route to the database, else to the first seed",
    )
    cluster_seeds: tuple[str, ...] = key(
        values.seeds,
        "",
        "Addresses (`host:port`) of other nodes; a DNS name may yield several. Port 8005 if none.",
    )
    cluster_profile: Literal["local", "lan", "wan"] = key(
        values.choice("local", "lan", "wan"), "lan", "Pace of failure detection: local, lan or wan."
    )
    cluster_zone: str = key(
        values.optional(values.name),
        "",
        "Zone (rack, site) of the node; pushes prefer one relay per zone.",
    )
    cluster_encrypt_key: bytes | None = key(
        values.cluster_key,
        None,
        "Key of the gossip traffic: 32 bytes in base64, from `grapevine cluster keygen`. Until the "
        "first change by `grapevine cluster keys`; then it opens what is stored.",
        secret=True,
        derived="the authority's",
    )
    cluster_keyring_file: KeyringFile | None = key(
        keyring_file,
        None,
        'JSON file of several such keys, `["…", "…"]` as Serf\'s or `{"keys": […]}`, of which the '
        "first is sent under and opens what is stored; it goes before `cluster_encrypt_key`.",
    )
    cluster_ttl_on_failure: float = key(
        values.seconds(60),
        "3600",
        "How long a failed member stays listed.",
        unit="s",
    )
    cluster_audit_interval: float = key(
        values.seconds(0),
        "3600",
        "How often one node compares the database with what the nodes hold; 0: never.",
        unit="s",
    )

    log_level: Literal["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"] = key(
        values.choice(*LOG_LEVELS),
        "notice",
        f"Least level that is logged: {', '.join(LOG_LEVELS)}.",
    )
    proxy_access_log: str = key(
        values.log_destination,
        "logs/access.log",
        "A line per proxied request: `off`, a path (from the prefix on), /dev/stdout, /dev/stderr.",
    )
    proxy_access_log_format: Literal["kong", "json"] = key(
        values.choice("kong", "json"),
        "kong",
        "How those lines look: as Kong's, or each a JSON object.",
    )
    proxy_error_log: str = key(
        values.log_destination, "/dev/stderr", "The node's and its workers' log; values as above."
    )
    admin_access_log: str = key(
        values.log_destination, "logs/admin_access.log", "A line per Admin API request."
    )
    admin_error_log: str = key(
        values.log_destination, "/dev/stderr", "The Admin API's part of the log."
    )

    source: str
    """The file that was read, or ``none``."""
    warnings: tuple[str, ...]
    """What was accepted but isn't quite what it seems, a sentence each."""
    database_reason: str
    """Why ``database`` is what it is."""
    origins: Mapping[str, str]
    """Key -> where its value comes from (``file:line``, a variable, a flag); without defaults."""
    references: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Key -> the reference that stands in place of its value, of those that have one."""

    def public(self) -> dict[str, Any]:
        """Every key with its value, ready for JSON; secrets that are set are ``******``, and what
        a reference stands for is that reference."""
        return {
            row.name: self.references.get(row.name) or _shown(row, getattr(self, row.field))
            for row in keys()
        }


def _shown(row: Key, value: Any) -> Any:
    if row.secret:
        return None if value is None else HIDDEN
    if isinstance(value, tuple) and not isinstance(value, HostPort):
        return [str(item) for item in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


@cache
def keys() -> tuple[Key, ...]:
    """The table, in the order in which the documentation shows it."""
    rows = []
    for field in dataclasses.fields(Settings):
        if field.metadata:
            row = {**field.metadata, "name": field.metadata["name"] or field.name}
            rows.append(Key(field=field.name, **row))
    return tuple(rows)
