"""Kong 3.9's keys that aren't ours: which of them may be passed over, and which must not.

*Harmless* keys tune or place what doesn't exist here: one warning names them. *Meaningful* keys say
who may do what, what is verified or encrypted, or where to listen: a node that started without
honouring them would not be the node that was asked for, so they stop the start (DESIGN 9).
"""

from typing import NamedTuple

UNSET = ("", "none")


class Meaningful(NamedTuple):
    """A key that stops the start unless its value asks for nothing that isn't so anyway."""

    neutral: tuple[str, ...]
    """Values, in lower case, that change nothing; being unset is always one."""
    way_out: str


_HARMLESS = """
    admin_gui_access_log admin_gui_csp_header admin_gui_error_log
    anonymous_reports client_body_buffer_size
    cluster_allowed_common_names cluster_control_plane cluster_data_plane_purge_delay
    cluster_dp_labels cluster_fallback_config_export cluster_fallback_config_export_delay
    cluster_fallback_config_import cluster_fallback_config_storage cluster_max_payload cluster_rpc
    cluster_rpc_sync cluster_server_name cluster_use_proxy
    db_cache_neg_ttl db_cache_ttl db_cache_warmup_entities db_resurrect_ttl db_update_propagation
    dedicated_config_processing privileged_worker
    dns_cache_size dns_error_ttl dns_no_sync dns_not_found_ttl
    dns_stale_ttl new_dns_client resolver_error_ttl resolver_family
    resolver_lru_cache_size resolver_mem_cache_size resolver_stale_ttl
    error_default_type error_template_html error_template_json error_template_plain
    error_template_xml headers_upstream host_ports kic lmdb_environment_path lmdb_map_size
    lua_max_post_args lua_max_req_headers lua_max_resp_headers lua_max_uri_args lua_package_cpath
    lua_package_path lua_socket_pool_size lua_ssl_protocols lua_ssl_verify_depth
    mem_cache_size nginx_daemon nginx_user node_id openresty_path opentelemetry_tracing
    opentelemetry_tracing_sampling_rate
    pg_backlog pg_max_concurrent_queries pg_semaphore_timeout pg_ssl_version
    pluginserver_names proxy_server proxy_server_ssl_verify proxy_stream_access_log
    proxy_stream_error_log request_debug request_debug_token router_consistency
    ssl_dhparam ssl_prefer_server_ciphers ssl_session_cache_size
    ssl_session_timeout status_access_log status_error_log tracing_instrumentations
    tracing_sampling_rate untrusted_lua untrusted_lua_sandbox_environment
    untrusted_lua_sandbox_requires vaults wasm_dynamic_module wasm_filters wasm_filters_path
    worker_consistency worker_events_max_payload worker_state_update_frequency
"""
HARMLESS = frozenset(_HARMLESS.split())

HARMLESS_NAMESPACES = (
    "cassandra_",
    "nginx_",
    "pg_ro_",
    "pluginserver_",
    "vault_",
)
"""Beginnings of keys whose endings are open (nginx's own directives) or gone (Cassandra's)."""

_TLS_VERSIONS = ("tlsv1.2 tlsv1.3", "tlsv1.1 tlsv1.2 tlsv1.3")
"""What is offered here, and Kong's own default, of which OpenSSL 3 refuses TLS 1.1 anyway."""
_CERTIFICATE = "this listener uses ssl_cert and ssl_cert_key"
_NODE_TLS = "nodes are told apart by cluster_encrypt_key; leave it out"
_DECLARATIVE = "a declarative file isn't read; put its content in through the Admin API"

MEANINGFUL = {
    "stream_listen": Meaningful(("off",), "TCP, TLS and UDP streams aren't proxied; set it to off"),
    "port_maps": Meaningful((), "ports are told as they are listened on; leave it out"),
    "admin_ssl_cert": Meaningful((), _CERTIFICATE),
    "admin_ssl_cert_key": Meaningful((), _CERTIFICATE),
    "status_ssl_cert": Meaningful((), _CERTIFICATE),
    "status_ssl_cert_key": Meaningful((), _CERTIFICATE),
    "cluster_mtls": Meaningful(("shared",), _NODE_TLS),
    "cluster_cert": Meaningful((), _NODE_TLS),
    "cluster_cert_key": Meaningful((), _NODE_TLS),
    "cluster_ca_cert": Meaningful((), _NODE_TLS),
    "cluster_ocsp": Meaningful(("off",), _NODE_TLS),
    "declarative_config_string": Meaningful((), _DECLARATIVE),
    "wasm": Meaningful(("off", "false"), "WebAssembly filters aren't run; set it to off"),
}

_GUARDING_DIRECTIVES = (
    "allow",
    "auth_",
    "deny",
    "include",
    "limit_",
    "proxy_ssl_",
    "grpc_ssl_",
    "satisfy",
    "set_real_ip_from",
    "ssl_certificate",
    "ssl_ciphers",
    "ssl_client_certificate",
    "ssl_crl",
    "ssl_ocsp",
    "ssl_protocols",
    "ssl_stapling",
    "ssl_trusted_certificate",
    "ssl_verify",
)
"""Beginnings of nginx directives that let in, keep out, verify or encrypt."""
_BLOCKS = ("http", "proxy", "location", "admin", "status", "upstream", "main", "stream", "sproxy")


def meaningful(key: str) -> Meaningful | None:
    """Why a key must not be passed over; None when it may be or isn't Kong's."""
    if key in MEANINGFUL:
        return MEANINGFUL[key]
    for block in _BLOCKS:
        directive = key.removeprefix(f"nginx_{block}_")
        if directive != key and directive.startswith(_GUARDING_DIRECTIVES):
            neutral = _TLS_VERSIONS if directive == "ssl_protocols" else ()
            return Meaningful(
                neutral, "there is no nginx to obey it; guard the port by other means, leave it out"
            )
    return None


def harmless(key: str) -> bool:
    """Whether a key is Kong's and may be passed over with a warning."""
    return key in HARMLESS or (key.startswith(HARMLESS_NAMESPACES) and not meaningful(key))


def asks_for_nothing(key: Meaningful, value: str) -> bool:
    """Whether a meaningful key's value is what holds here anyway."""
    words = " ".join(value.lower().split())
    return words in UNSET or words in key.neutral
