"""Request paths: normalised before routing, and built anew for the upstream.

The rules are Kong's (kong/tools/uri.lua, kong/router/utils.lua), with one aim: what the router
matches and what the upstream receives mean the same path.
"""

import re
from typing import Literal

PathHandling = Literal["v0", "v1"]

_RESERVED = frozenset(b"!*'();:@&=+$,/?%#[]")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSAFE = re.compile(rb"[^!#$&'()*+,/:;=?@\[\]A-Za-z0-9\-_.~%]")


def _decode(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16)
    return match[0].upper() if code in _RESERVED else bytes((code,))


def normalise(path: bytes) -> bytes:
    """The path as the router sees it.

    Percent-encoded characters that aren't reserved are decoded, dot segments removed (RFC 3986,
    5.2.4) and runs of slashes merged. The result may hold any byte; `escape` makes it safe again.
    """
    if b"%" in path:
        path = _PERCENT.sub(_decode, path)
    if b"/." not in path and b"//" not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    directory = kept and segments[-1] in (b"", b".", b"..")
    return b"/" + b"/".join(kept) + (b"/" if directory else b"")


def escape(path: bytes) -> bytes:
    """Percent-encode what may not stand in a request target."""
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], path)


def upstream_path(
    service_path: bytes,
    path: bytes,
    matched: bytes | None,
    strip: bool,
    handling: PathHandling = "v0",
) -> bytes:
    """The path that the upstream is asked for, not yet escaped.

    ``matched`` is the part of ``path`` that the route's path matched, None for a route without
    paths. ``v0`` joins the service's path and the rest with exactly one slash; ``v1`` concatenates.
    """
    if handling == "v0" and not strip:  # by far the most
        return service_path if path == b"/" else service_path.removesuffix(b"/") + path
    if strip and matched is not None:
        rest = _without_dots(path[len(matched) :])
    else:
        rest = _without_dots(path[1:])
    if handling == "v1":
        if strip and matched is not None:
            joined = service_path[:-1] if rest[:1] == b"/" == service_path[-1:] else service_path
            return joined + rest
        return service_path + rest
    base = service_path.removesuffix(b"/")
    if rest:
        return base + (rest if rest[:1] == b"/" else b"/" + rest)
    if service_path[-1:] == b"/":
        return service_path if path[-1:] == b"/" else base or b"/"
    return base + b"/" if len(path) > 1 and path[-1:] == b"/" else base


def _without_dots(rest: bytes) -> bytes:
    """A rest that begins with a dot segment would climb out of the service's path."""
    if rest in (b".", b".."):
        return b""
    if rest.startswith(b"./"):
        return rest[2:]
    return rest[3:] if rest.startswith(b"../") else rest
