"""Which header fields the proxy must look at, told apart by exact spelling in one dict look-up.

Almost every field of a request or response is passed on untouched. What isn't has a kind here:
framing (RFC 9112, 6), hop-by-hop fields (RFC 9110, 7.6.1) and the fields that we set ourselves.
"""

import re

from node.proxy import limits

PLAIN = 0
HOST = 1
CONNECTION = 2
CONTENT_LENGTH = 3
TRANSFER_ENCODING = 4
UPGRADE = 5
EXPECT = 6
HOP = 7
"""Concerns one connection only, or is dangerous to pass on (``Proxy``: httpoxy)."""
X_FORWARDED_FOR = 8
X_FORWARDED_PROTO = 9
X_FORWARDED_HOST = 10
X_FORWARDED_PORT = 11
X_FORWARDED_PATH = 12
X_FORWARDED_PREFIX = 13
X_REAL_IP = 14
OURS = 15
"""Set by us in each message: what a peer sends under that name is dropped."""
MIN_REVISION = 16

_KINDS = {
    b"host": HOST,
    b"connection": CONNECTION,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"upgrade": UPGRADE,
    b"expect": EXPECT,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
    b"proxy": HOP,
    b"te": HOP,
    b"trailer": HOP,
    b"http2-settings": HOP,
    b"x-forwarded-for": X_FORWARDED_FOR,
    b"x-forwarded-proto": X_FORWARDED_PROTO,
    b"x-forwarded-host": X_FORWARDED_HOST,
    b"x-forwarded-port": X_FORWARDED_PORT,
    b"x-forwarded-path": X_FORWARDED_PATH,
    b"x-forwarded-prefix": X_FORWARDED_PREFIX,
    b"x-real-ip": X_REAL_IP,
    b"x-kong-request-id": OURS,
    b"grapevine-min-revision": MIN_REVISION,
}

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PROTOCOL = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(/[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32})?")
_WEBSOCKET = b"websocket"
_STAYING = frozenset((b"h2c", b"h2", b"http", b"tls"))
"""Protocols that may not be switched to. Requests over another HTTP would pass without being
looked at, and TLS ends where the listeners say."""
seen: dict[bytes, int] = {}
"""Kinds by exact spelling, of names met before. Hot paths look here first and save a call."""


def kind_of(name: bytes) -> int:
    """The kind of a field by its name in any spelling; -1 when it is no token (RFC 9110, 5.1)."""
    kind = seen.get(name)
    if kind is None:
        kind = _KINDS.get(name.lower(), PLAIN) if _TOKEN.fullmatch(name) else -1
        if len(seen) < limits.FIELD_NAMES_MAX:
            seen[name] = kind
    return kind


CONNECTION_OPTIONS = frozenset((b"close", b"keep-alive", b"upgrade"))
"""What Connection may list beside names of fields."""
_TOKENS_BYTES_MAX = 64
"""Longer lists are rare, and read anew each time."""
_token_sets: dict[bytes, frozenset[bytes]] = {}


def tokens(value: bytes) -> frozenset[bytes]:
    """The members of a comma-separated list, lower-cased; empty ones are skipped (9110, 5.6.1)."""
    found = _token_sets.get(value)
    if found is None:
        parts = (part.strip(b" \t") for part in value.lower().split(b","))
        found = frozenset(part for part in parts if part)
        if len(_token_sets) < limits.FIELD_NAMES_MAX and len(value) <= _TOKENS_BYTES_MAX:
            _token_sets[value] = found
    return found


def parse_length(value: bytes) -> int | None:
    """A Content-Length: digits only, of bounded length. None for all else.

    int() alone would take ``+5``, ``1_0`` and surrounding blanks, which another server on the way
    may read differently.
    """
    if value.isdigit() and len(value) <= limits.CONTENT_LENGTH_DIGITS_MAX:
        return int(value)
    return None


def passing_upgrade(value: bytes) -> bytes:
    """The protocol that an Upgrade field asks for, as the upstream is asked for it: empty unless it
    is one single protocol that may follow HTTP on a connection (RFC 9110, 7.8)."""
    if value.lower() == _WEBSOCKET:
        return _WEBSOCKET
    if not _PROTOCOL.fullmatch(value) or value.lower().partition(b"/")[0] in _STAYING:
        return b""
    return value
