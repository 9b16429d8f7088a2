"""Services and routes as the data plane uses them, read from the stored JSON text.

The stored text has the Admin API's shape. It was validated before it was stored, possibly by a
later version of this software: unknown fields are ignored, missing ones have Kong's defaults, and
what can't be used is an error that leaves this one entity out.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from node.proxy.paths import PathHandling
from store.canonical import decode_entity

_NONE: frozenset[bytes] = frozenset()
_NO_FIELDS: dict[str, Any] = {}


class EntityRefused(Exception):
    """An entity that the data plane can't use; the message names the field and the value."""


class Service(NamedTuple):
    """Where requests go. Times are in seconds."""

    id: str
    name: str
    ssl: bool
    host: str
    port: int
    path: bytes
    retries: int
    connect_timeout: float
    write_timeout: float
    read_timeout: float
    tls_verify: bool
    tls_verify_depth: int | None
    ca_certificates: tuple[str, ...]
    """Ids of the authorities that it is verified by; none: the configured ones."""
    client_certificate_id: str
    enabled: bool
    host_header: bytes
    """The Host that the upstream gets: with the port unless it is the scheme's default."""


class HostPattern(NamedTuple):
    """One of a route's hosts, lower-cased."""

    text: bytes
    """Without the asterisk and the port."""
    wildcard: int
    """0: exact; -1: ``*`` was leftmost, ``text`` is a suffix; 1: rightmost, a prefix."""
    port: int
    """The listener's port that is asked for; 0: any."""


class HeaderPattern(NamedTuple):
    """One header of a route: any of the values, or a match of any of the expressions."""

    name: bytes
    values: frozenset[bytes]
    """Lower-cased."""
    expressions: tuple[str, ...]
    """From values that begin with ``~*``, as they are."""


class Route(NamedTuple):
    """Which requests go there. Text that is compared with requests is kept as bytes."""

    id: str
    name: str
    service_id: str
    protocols: frozenset[str]
    methods: frozenset[bytes]
    hosts: tuple[HostPattern, ...]
    paths: tuple[bytes, ...]
    """Plain prefixes."""
    regexes: tuple[str, ...]
    """Paths that began with ``~``, without it."""
    headers: tuple[HeaderPattern, ...]
    snis: frozenset[bytes]
    regex_priority: int
    strip_path: bool
    preserve_host: bool
    https_redirect_status_code: int
    path_handling: PathHandling
    created_at: int
    """Unix seconds."""
    request_buffering: bool = True
    response_buffering: bool = True


def host_and_port(host: str, port: int, ssl: bool) -> bytes:
    """A Host field's value; IPv6 in brackets, the scheme's own port left out."""
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    default = 443 if ssl else 80
    return (bracketed if port == default else f"{bracketed}:{port}").encode()


def read_service(text: str) -> Service:
    """Raises EntityRefused."""
    fields = load(text)
    protocol = fields.get("protocol") or "http"
    host = fields.get("host")
    if not isinstance(host, str) or not host:
        raise EntityRefused(f"service {fields.get('id')}: host is {host!r}")
    ssl = protocol == "https"
    host = host.strip("[]")
    port = int(fields.get("port") or (443 if ssl else 80))
    authorities = fields.get("ca_certificates")
    return Service(
        id=str(fields["id"]),
        name=fields.get("name") or "",
        ssl=ssl,
        host=host,
        port=port,
        path=(fields.get("path") or "/").encode(),
        retries=int(or_default(fields.get("retries"), 5)),
        connect_timeout=int(or_default(fields.get("connect_timeout"), 60_000)) / 1000,
        write_timeout=int(or_default(fields.get("write_timeout"), 60_000)) / 1000,
        read_timeout=int(or_default(fields.get("read_timeout"), 60_000)) / 1000,
        tls_verify=bool(fields.get("tls_verify")),
        tls_verify_depth=_optional_int(fields.get("tls_verify_depth")),
        ca_certificates=tuple(sorted(map(str, authorities))) if authorities else (),
        client_certificate_id=str((fields.get("client_certificate") or _NO_FIELDS).get("id") or ""),
        enabled=fields.get("enabled") is not False and protocol in ("http", "https"),
        host_header=host_and_port(host, port, ssl),
    )


def read_route(text: str) -> Route:
    """Raises EntityRefused."""
    fields = load(text)
    paths = [str(path) for path in fields.get("paths") or ()]
    methods, hosts, snis = fields.get("methods"), fields.get("hosts"), fields.get("snis")
    headers = fields.get("headers")
    # Most of these are empty in most routes, of which there may be a hundred thousand to read.
    return Route(
        id=str(fields["id"]),
        name=fields.get("name") or "",
        service_id=str((fields.get("service") or _NO_FIELDS).get("id") or ""),
        protocols=_protocols(tuple(fields.get("protocols") or ("http", "https"))),
        methods=frozenset([one.upper().encode() for one in methods]) if methods else _NONE,
        hosts=tuple([_host(host) for host in hosts]) if hosts else (),
        paths=tuple([path.encode() for path in paths if path[:1] != "~"]),
        regexes=tuple([path[1:] for path in paths if path[:1] == "~"]),
        headers=tuple([_header(name, headers[name]) for name in sorted(headers)])
        if headers
        else (),
        snis=frozenset([sni.lower().removesuffix(".").encode() for sni in snis]) if snis else _NONE,
        regex_priority=int(fields.get("regex_priority") or 0),
        strip_path=or_default(fields.get("strip_path"), True) is True,
        preserve_host=fields.get("preserve_host") is True,
        https_redirect_status_code=int(or_default(fields.get("https_redirect_status_code"), 426)),
        path_handling="v1" if fields.get("path_handling") == "v1" else "v0",
        created_at=int(fields.get("created_at") or 0),
        request_buffering=fields.get("request_buffering") is not False,
        response_buffering=fields.get("response_buffering") is not False,
    )


@lru_cache(maxsize=64)
def _protocols(names: tuple[str, ...]) -> frozenset[str]:
    """One object for all routes that have the same."""
    return frozenset(names)


def load(text: str) -> dict[str, Any]:
    """The fields of an entity, which has an id. Raises EntityRefused."""
    try:
        fields = decode_entity(text)
    except ValueError as error:
        raise EntityRefused(str(error)) from error
    if not isinstance(fields.get("id"), str):
        raise EntityRefused("an entity without an id")
    return fields


def or_default(value: Any, default: Any) -> Any:
    """What stands for a field that is missing or null."""
    return default if value is None else value


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)


def _host(pattern: str) -> HostPattern:
    name, port = split_port(pattern.lower().encode())
    if name[:1] == b"*":
        return HostPattern(name[1:], -1, port)
    if name[-1:] == b"*":
        return HostPattern(name[:-1], 1, port)
    return HostPattern(name, 0, port)


def _header(name: str, values: list[str]) -> HeaderPattern:
    texts = [str(value) for value in values]
    return HeaderPattern(
        name.lower().encode(),
        frozenset(text.lower().encode() for text in texts if not text.startswith("~*")),
        tuple(text[2:] for text in texts if text.startswith("~*")),
    )


def split_port(host: bytes) -> tuple[bytes, int]:
    """Host and port of a Host field; port 0 when there is none. IPv6 keeps its brackets."""
    if host[-1:] == b"]":
        return host, 0
    name, colon, port = host.rpartition(b":")
    if colon and port.isdigit() and len(port) <= 5:
        return name, int(port)
    return host, 0
