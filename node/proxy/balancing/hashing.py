"""What of a request consistent hashing goes by (Kong: get_value_to_hash in runloop/balancer)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes

from node.proxy import fields, limits
from node.proxy.balancing.entities import HashOn, Upstream
from node.proxy.heads import RequestHead


class HashInput(NamedTuple):
    """A request, as far as its target depends on it."""

    head: RequestHead
    client: bytes
    """The client's address."""
    path: bytes
    """Normalised."""
    captures: Callable[[], Mapping[str | int, str]]
    """What the groups of the route's path matched, by name and by number."""
    identity: str
    """The id of the authenticated consumer, else of the credential; empty without one."""


class Hashed(NamedTuple):
    """What was found."""

    value: bytes
    """Empty when there was nothing: all such requests go to one target, as in Kong."""
    cookie: str = ""
    """The Set-Cookie that makes the client come back with the value; empty without one."""


def value_of(upstream: Upstream, request: HashInput, new_id: Callable[[], str]) -> Hashed:
    """The value that a request is hashed by; ``new_id`` makes that of a new cookie."""
    for on in (upstream.hash_on, upstream.hash_fallback):
        if on.kind == "none":
            break
        value = _READERS[on.kind](on, request) if on.kind in _READERS else None
        if value is not None:
            return Hashed(value)
        if on.kind == "cookie":
            made = new_id()
            # The text is Kong's, "Same-Site" included.
            line = f"{on.name}={made}; Path={upstream.cookie_path}; Same-Site=Lax; HttpOnly"
            return Hashed(made.encode(), line)
    return Hashed(b"")


def _consumer(on: HashOn, request: HashInput) -> bytes | None:
    return request.identity.encode() or None


def _ip(on: HashOn, request: HashInput) -> bytes | None:
    return request.client


def _header(on: HashOn, request: HashInput) -> bytes | None:
    name = on.name.lower().replace("_", "-").encode()
    kind = fields.kind_of(name)
    if kind != fields.PLAIN:
        return request.head.special.get(kind)
    values = request.head.values(name)
    return b", ".join(values) if values else None


def _cookie(on: HashOn, request: HashInput) -> bytes | None:
    name = on.name.lower().encode()
    for header in request.head.values(b"cookie"):
        for pair in header.split(b";"):
            key, equals, value = pair.strip().partition(b"=")
            if equals and key.strip().lower() == name:
                return value.strip()
    return None


def _path(on: HashOn, request: HashInput) -> bytes | None:
    return unquote_to_bytes(request.path)


def _query_arg(on: HashOn, request: HashInput) -> bytes | None:
    """All values of the argument, sorted; one without a value is ``true``, as in OpenResty."""
    values = []
    for pair in request.head.query[1:].split(b"&")[: limits.QUERY_ARGS_MAX]:
        key, equals, value = pair.partition(b"=")
        if unquote_plus(key.decode("latin-1"), "latin-1") == on.name:
            text = unquote_plus(value.decode("latin-1"), "latin-1") if equals else "true"
            values.append(text)
    return ",".join(sorted(values)).encode("latin-1") if values else None


def _uri_capture(on: HashOn, request: HashInput) -> bytes | None:
    captures = request.captures()
    value = captures.get(on.name)
    if value is None and on.name.isdigit():
        value = captures.get(int(on.name))
    return None if value is None else value.encode("utf-8", "surrogateescape")


_READERS: dict[str, Callable[[HashOn, HashInput], bytes | None]] = {
    "consumer": _consumer,
    "ip": _ip,
    "header": _header,
    "cookie": _cookie,
    "path": _path,
    "query_arg": _query_arg,
    "uri_capture": _uri_capture,
}
