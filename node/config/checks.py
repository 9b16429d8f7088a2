"""Rules between keys, and what is configurable but not built in this version."""

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from node.config import plugins, postgres, tls
from node.config.keyring_file import configured_keyring, is_readable_by_others
from node.config.listen import HostPort
from store.mounts import network_file_system

LISTENERS = ("proxy_listen", "admin_listen", "status_listen", "admin_gui_listen")

_NOT_BUILT = {
    ("role", "control_plane"): "is not built yet in this version; use traditional",
    ("role", "data_plane"): "is not built yet in this version; use traditional",
}
_WILDCARDS = ("0.0.0.0", "::")


def problems(values: Mapping[str, Any]) -> Iterator[str]:
    """What can't be started with, a sentence each; takes the typed value of every field."""
    for (field, word), reason in _NOT_BUILT.items():
        if values[field] == word:
            why = f" (because {values['database_reason']})" if field == "database" else ""
            yield f"{field} = {word!r}{why}: {reason}"
    for field in LISTENERS:
        for listener in values[field]:
            if listener.proxy_protocol:
                yield (
                    f"{field} = {str(listener)!r}: the PROXY protocol is not built yet in this "
                    "version; leave proxy_protocol out"
                )
    if values["real_ip_header"] == "proxy_protocol":
        yield (
            "real_ip_header = 'proxy_protocol': is not built yet in this version; name a header, "
            "e.g. X-Forwarded-For"
        )
    for certificate, private_key in (
        ("ssl_cert", "ssl_cert_key"),
        ("admin_gui_ssl_cert", "admin_gui_ssl_cert_key"),
        ("client_ssl_cert", "client_ssl_cert_key"),
        ("pg_ssl_cert", "pg_ssl_cert_key"),
    ):
        yield from _certificate(values, certificate, private_key)
    yield from _sqlite(values)
    yield from _keys(values)
    yield from postgres.problems(values)
    yield from tls.problems(values)
    yield from _shared_ports(values)


def _sqlite(values: Mapping[str, Any]) -> Iterator[str]:
    if values["database"] != "sqlite":
        return
    found = network_file_system(values["sqlite_path"])
    if found is not None:
        yield (
            f"sqlite_path = '{values['sqlite_path']}': lies on a network file system ({found}), "
            "where SQLite loses data; put it on a disk of this machine, or use Postgres for "
            "several machines"
        )


def warnings(values: Mapping[str, Any]) -> Iterator[str]:
    """What was accepted but isn't quite what it seems, a sentence each."""
    if any(listener.http2 for field in LISTENERS for listener in values[field]):
        yield "http2 in a listener: HTTP/2 is not built yet; HTTP/1.1 is offered instead"
    if missing := plugins.unavailable(values["plugins"]):
        yield f"plugins that this version doesn't run yet: {', '.join(missing)}"
    if values["admin_gui_listen"] and values["admin_gui_path_dir"] is None:
        yield (
            "admin_gui_listen: admin_gui_path_dir is not set, so there is no dashboard to serve; "
            "docs/kong-manager.md says where its files come from"
        )
    file = values["cluster_keyring_file"]
    if file is not None and is_readable_by_others(file.path):
        yield f"cluster_keyring_file: {file}: every user may read it; chmod it to 0600"


def _keys(values: Mapping[str, Any]) -> Iterator[str]:
    try:
        configured_keyring(values["cluster_keyring_file"], values["cluster_encrypt_key"])
    except ValueError as error:
        yield f"cluster_keyring_file, cluster_encrypt_key: {error}"


def _certificate(values: Mapping[str, Any], certificate: str, private_key: str) -> Iterator[str]:
    if bool(values[certificate]) != bool(values[private_key]):
        missing = private_key if values[certificate] else certificate
        yield f"{missing}: is unset but its other half is set; set both or neither"
    for field in (certificate, private_key):
        if values[field] and not os.access(values[field], os.R_OK):
            yield f"{field} = {values[field][:80]!r}: can't be read; name a PEM file"


def _shared_ports(values: Mapping[str, Any]) -> Iterator[str]:
    """Two keys on one TCP port: the second would fail to bind with a less clear error."""
    taken: list[tuple[str, HostPort]] = [("cluster_listen", values["cluster_listen"])]
    for field in LISTENERS:
        mine = [(field, listener.address) for listener in values[field]]
        for _, address in mine:
            for other, theirs in taken:
                if _collide(address, theirs):
                    yield f"{field} = '{address}': {other} has {theirs}; give one another port"
        taken += mine


def _collide(one: HostPort, other: HostPort) -> bool:
    if one.port != other.port or one.port == 0:
        return False
    return one.host == other.host or (
        _family(one.host) == _family(other.host)
        and (one.host in _WILDCARDS or other.host in _WILDCARDS)
    )


def _family(host: str) -> int:
    try:
        return ip_address(host).version
    except ValueError:
        return 4
