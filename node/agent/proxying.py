"""What the workers need from the node's configuration."""

from collections.abc import Callable
from pathlib import Path

from node.agent.certificate import certificate_files, default_certificate
from node.agent.health.client_certificates import ClientCertificates
from node.config import tls
from node.config.settings import Settings
from node.proxy.lookup import Lookup
from node.proxy.settings import Listener, ProxySettings
from node.version import VERSION
from store.contents import PinnedState


def log_path(settings: Settings, destination: str) -> str:
    """A log's destination with a relative path taken from the prefix on, its folder made."""
    if destination == "off" or destination.startswith("/dev/"):
        return destination
    path = settings.prefix / destination
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(path)


def replica_path(settings: Settings) -> Path:
    """The replica file, which the agent writes and workers read."""
    return settings.prefix / "replica.db"


def lookup(settings: Settings) -> Lookup:
    """How this node resolves targets' names, in its workers and where it probes."""
    servers = [(server.host, server.port) for server in settings.dns_resolver]
    hosts_file = Path(settings.dns_hostsfile)
    return Lookup(servers, settings.dns_order, hosts_file, settings.dns_valid_ttl)


def client_ssl(settings: Settings) -> tuple[str, str]:
    """The files of the certificate and the key that upstreams are shown where nothing else is
    said; empty for none."""
    if not settings.client_ssl:
        return "", ""
    if settings.client_ssl_cert:
        return settings.client_ssl_cert, settings.client_ssl_cert_key
    certificate, key = default_certificate(settings.prefix)
    return str(certificate), str(key)


def client_certificates(
    settings: Settings, state: Callable[[], PinnedState | None]
) -> ClientCertificates:
    """What this node's probes show."""
    return ClientCertificates(state, client_ssl(settings), settings.vault_env_prefix)


def proxy_settings(settings: Settings) -> ProxySettings:
    """The settings of a worker, but for its slot and its sockets' descriptors."""
    listeners = tuple(
        Listener(-1, listen.host, listen.port, listen.ssl, listen.backlog)
        for listen in settings.proxy_listen
    )
    certificate, key = Path(), Path()
    if any(listener.ssl for listener in listeners):
        certificate, key = certificate_files(settings)
    client_certificate, client_key = client_ssl(settings)
    versions, ciphers = tls.offered(
        settings.ssl_cipher_suite, settings.ssl_protocols, settings.ssl_ciphers
    )
    return ProxySettings(
        worker=-1,
        listeners=listeners,
        version=VERSION,
        trusted_ips=settings.trusted_ips,
        real_ip_header=settings.real_ip_header,
        real_ip_recursive=settings.real_ip_recursive,
        headers=settings.headers,
        access_log=log_path(settings, settings.proxy_access_log),
        access_log_format=settings.proxy_access_log_format,
        error_log=log_path(settings, settings.proxy_error_log),
        log_level=settings.log_level,
        client_max_body_size=settings.client_max_body_size,
        upstream_keepalive_pool_size=settings.upstream_keepalive_pool_size,
        upstream_keepalive_max_requests=settings.upstream_keepalive_max_requests,
        upstream_keepalive_idle_timeout=settings.upstream_keepalive_idle_timeout,
        ssl_cert=str(certificate),
        ssl_cert_key=str(key),
        router_flavor=settings.router_flavor,
        dns_resolver=tuple((server.host, server.port) for server in settings.dns_resolver),
        dns_order=settings.dns_order,
        dns_hostsfile=settings.dns_hostsfile,
        dns_valid_ttl=settings.dns_valid_ttl,
        ssl_protocols=versions,
        ssl_ciphers=ciphers,
        ssl_session_tickets=settings.ssl_session_tickets,
        client_ssl_cert=client_certificate,
        client_ssl_cert_key=client_key,
        trusted_certificates=settings.lua_ssl_trusted_certificate,
        allow_debug_header=settings.allow_debug_header,
        replica_file=str(replica_path(settings)),
        plugins=settings.plugins,
        vault_env_prefix=settings.vault_env_prefix,
    )
