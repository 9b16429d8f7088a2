"""What a worker is told: the part of the node's configuration that the data plane uses."""

from typing import NamedTuple

from node.proxy import limits


class Listener(NamedTuple):
    """One proxy listener, whose socket the worker inherits from the agent."""

    fd: int
    """Bound, not yet listening; the worker calls listen(backlog) when told to."""
    host: str
    port: int
    ssl: bool
    backlog: int


class ProxySettings(NamedTuple):
    """Configuration of one worker. Times are in seconds, sizes in bytes."""

    worker: int
    """Slot number, from 0."""
    listeners: tuple[Listener, ...]
    version: str
    """Software version, for Server and Via."""
    trusted_ips: tuple[str, ...]
    """CIDRs (or ``unix:``) whose X-Forwarded-* and real_ip_header are believed."""
    real_ip_header: str
    real_ip_recursive: bool
    headers: tuple[str, ...]
    """Which headers of ours answers carry: Kong's ``headers`` key, lower-cased."""
    access_log: str
    """``off``, a path, or ``/dev/stdout`` / ``/dev/stderr`` for the inherited descriptor."""
    error_log: str
    """Where the worker's log lines go, as ``access_log``."""
    log_level: str
    client_max_body_size: int
    """0: unlimited."""
    upstream_keepalive_pool_size: int
    upstream_keepalive_max_requests: int
    upstream_keepalive_idle_timeout: float
    ssl_cert: str
    """PEM file of the listeners' default certificate; empty without an ssl listener."""
    ssl_cert_key: str
    router_flavor: str
    """``traditional_compatible`` or ``traditional``."""
    dns_resolver: tuple[tuple[str, int], ...] = ()
    """Name servers, with their ports; none: those of /etc/resolv.conf."""
    dns_order: tuple[str, ...] = ("LAST", "SRV", "A", "CNAME")
    """Record types in the order in which they are asked for."""
    dns_hostsfile: str = "/etc/hosts"
    dns_valid_ttl: float = 0.0
    """In place of the TTL of servers' answers; 0: that is what counts."""
    ssl_protocols: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    ssl_ciphers: str = ""
    """Of TLS 1.2, in OpenSSL's notation; empty: OpenSSL's own."""
    ssl_session_tickets: bool = True
    client_ssl_cert: str = ""
    """PEM file of the certificate that upstreams are shown; empty: none."""
    client_ssl_cert_key: str = ""
    trusted_certificates: tuple[str, ...] = ("system",)
    """What upstreams are verified by where a service doesn't say: PEM files, or ``system``."""
    access_log_format: str = "kong"
    """``kong`` or ``json``."""
    allow_debug_header: bool = False
    replica_file: str = ""
    """Where consumers and credentials are looked up."""
    plugins: tuple[str, ...] = ("bundled",)
    """The key ``plugins``."""
    counters_fd: int = -1
    """Memory that the workers of a node share for counters (node.plugins.counters); -1: none."""
    tls_handshake_seconds: float = limits.TLS_HANDSHAKE_SECONDS
    """How long a client's handshake may take."""
    vault_env_prefix: str = ""
    """Of the variables to which references in entities lead."""
