"""Services: where traffic goes (``kong/db/schema/entities/services.lua``, 3.9)."""

import re
from typing import Any

from store.schema.checks import Condition, ForbiddenUnless
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.typedefs import (
    CREATED_AT,
    HOST,
    PATH,
    PORT,
    PROTOCOL,
    TAGS,
    TIMEOUT,
    UPDATED_AT,
    UTF8_NAME,
    UUID,
    having,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_PORT = re.compile(r"(.*):([^:\]]*)", re.DOTALL)


def expand_url(url: Any) -> dict[str, Any]:
    """The fields that the shorthand ``url`` stands for, taken apart as LuaSocket does.

    What it doesn't name comes out as null, so that the field's own check says what is missing.
    """
    rest = str(url).partition("#")[0]
    scheme = _SCHEME.fullmatch(rest)
    if scheme:
        rest = scheme.group(2)
    host: str | None = None
    port: int | str | None = None
    if rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        authority, _, query = authority.partition("?")
        rest = f"?{query}" if query else rest
        host, port = _host_and_port(authority.rpartition("@")[2])
    path = rest.partition("?")[0].partition(";")[0]
    protocol = scheme.group(1) if scheme else {80: "http", 443: "https"}.get(_int(port), "http")
    return {
        "protocol": protocol,
        "host": host or None,
        "port": port if port is not None else _DEFAULT_PORTS.get(protocol, 80),
        "path": path or None,
    }


def _host_and_port(authority: str) -> tuple[str, int | str | None]:
    found = _PORT.fullmatch(authority)
    host, port = found.groups() if found else (authority, "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not port:
        return host, None
    number = port.isascii() and port.isdigit() and len(port) <= 10
    return host, int(port) if number else port


def _int(port: int | str | None) -> int:
    return port if isinstance(port, int) else 0


_PROTOCOL = having(PROTOCOL, description="Spoken to the upstream.", required=True, default="http")
_TLS_ONLY = Condition(_PROTOCOL, ("https", "tls"), negated=True)

SERVICES = Schema(
    kind="services",
    entity_name="service",
    endpoint_key="name",
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "name": UTF8_NAME,
        "retries": Field("integer", "Tries after a failed one.", default=5, between=(0, 32767)),
        "protocol": _PROTOCOL,
        "host": having(HOST, description="Name or address of the upstream.", required=True),
        "port": having(PORT, description="Port of the upstream.", required=True, default=80),
        "path": having(PATH, description="Put in front of the requested path."),
        "connect_timeout": having(TIMEOUT, description="Milliseconds.", default=60000),
        "write_timeout": having(TIMEOUT, description="Milliseconds.", default=60000),
        "read_timeout": having(TIMEOUT, description="Milliseconds.", default=60000),
        "tags": TAGS,
        "client_certificate": Field(
            "foreign", "Certificate shown to the upstream.", reference="certificates"
        ),
        "tls_verify": Field(
            "boolean", "Whether to verify the upstream's certificate; null: as configured."
        ),
        "tls_verify_depth": Field(
            "integer", "Longest certificate chain.", default=None, between=(0, 64)
        ),
        "ca_certificates": Field(
            "array",
            "Ids of the CA certificates to trust.",
            elements=Field("string", uuid=True),
        ),
        "enabled": Field(
            "boolean", "Whether the service takes part in routing.", required=True, default=True
        ),
    },
    checks=(
        ForbiddenUnless(
            "protocol", Condition(_PROTOCOL, ("tcp", "tls", "udp", "grpc", "grpcs")), "path"
        ),
        ForbiddenUnless("protocol", _TLS_ONLY, "client_certificate"),
        ForbiddenUnless("protocol", _TLS_ONLY, "tls_verify"),
        ForbiddenUnless("protocol", _TLS_ONLY, "tls_verify_depth"),
        ForbiddenUnless("protocol", _TLS_ONLY, "ca_certificates"),
    ),
    shorthands={"url": (Field("string", "Protocol, host, port and path in one."), expand_url)},
)
