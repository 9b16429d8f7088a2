"""What the ``pg_*`` keys may say, and what they may not say together."""

import re
import ssl
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from node.config import values
from node.config.listen import HostPort, parse_host_port

_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
"""An identifier of Postgres' (63 bytes), without what would have to be escaped."""

_SYSTEM_SCHEMAS = ("pg_", "information_schema")


def server(text: str, default_port: int) -> HostPort:
    """One server: a name or address, with a port or without, or the folder of a Unix socket."""
    if text.startswith("/"):
        return HostPort(values.path(text), default_port)
    try:
        return HostPort(str(ip_address(text)), default_port)
    except ValueError:
        found = parse_host_port(text, default_port=default_port)
    if found.port == 0:
        raise ValueError("has port 0; write the server's port, or leave it to pg_port")
    return found


def servers(text: str) -> tuple[str, ...]:
    """Some servers, checked; as texts, since ``pg_port`` isn't known here."""
    found = values.items(text)
    if not found:
        raise ValueError("names no server; write a host, or several with commas between")
    for item in found:
        try:
            server(item, 5432)
        except ValueError as error:
            raise ValueError(f"{item[:80]!r} {error}") from None
    return found


def servers_or_none(text: str) -> tuple[str, ...]:
    """Some servers, or none."""
    return servers(text) if text.strip() else ()


def schema(text: str) -> str:
    """The name of a schema that users may make."""
    if not _SCHEMA.fullmatch(text) or text.lower().startswith(_SYSTEM_SCHEMAS):
        raise ValueError(
            "is no schema's name; write at most 63 letters, digits, dashes or underscores, not "
            "beginning with a digit or pg_"
        )
    return text


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """What of these keys a node can't be started with; takes the typed value of every field."""
    if settings["database"] != "postgres":
        return
    if not settings["pg_ssl"]:
        for field in ("pg_ssl_required", "pg_ssl_verify", "pg_ssl_cert", "pg_ssl_ca"):
            if settings[field]:
                yield f"{field}: is set, but pg_ssl is off; set pg_ssl to on, or leave {field} out"
        return
    if settings["pg_ssl_ca"] and not settings["pg_ssl_verify"]:
        yield "pg_ssl_ca: is set, but nothing is verified; set pg_ssl_verify to on, or leave it out"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings["pg_ssl_ca"]:
        try:
            context.load_verify_locations(settings["pg_ssl_ca"])
        except OSError as error:
            yield f"pg_ssl_ca = {settings['pg_ssl_ca'][:80]!r}: {error.strerror}; name a PEM file"
    if settings["pg_ssl_cert"] and settings["pg_ssl_cert_key"]:
        try:
            context.load_cert_chain(settings["pg_ssl_cert"], settings["pg_ssl_cert_key"])
        except OSError as error:
            yield (
                f"pg_ssl_cert = {settings['pg_ssl_cert'][:80]!r}: can't be used with "
                f"pg_ssl_cert_key: {error.strerror}; name the PEM files of one pair"
            )
