"""Parsers of single values: text in, typed value out, or ValueError saying what would be right.

An error text continues the sentence ``<key> = <value>: …``.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from node.config.limits import (
    LIST_ITEMS_MAX,
    NAME_CHARS_MAX,
    PATH_CHARS_MAX,
    SECONDS_MAX,
    WORKERS_MAX,
)
from node.config.listen import HostPort, parse_host_port
from node.config.processors import available_processors

T = TypeVar("T")
Parser = Callable[[str], T]

_SIZE = re.compile(r"([0-9]{1,18})([kmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")

CLUSTER_PORT = 8005
DNS_PORT = 53
RECORD_TYPES = ("LAST", "SRV", "A", "AAAA", "CNAME")
CLUSTER_KEY_BYTES = 32


def boolean(text: str) -> bool:
    """``on``/``off``, ``true``/``false``, ``yes``/``no``."""
    word = text.lower()
    if word in ("on", "true", "yes"):
        return True
    if word in ("off", "false", "no"):
        return False
    raise ValueError("is neither `on` nor `off`")


def integer(low: int, high: int) -> Parser[int]:
    """A whole number within bounds, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"is no whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(low: float, high: float = SECONDS_MAX) -> Parser[float]:
    """A time in seconds, with fractions if wanted, within bounds, both included."""

    def parse(text: str) -> float:
        try:
            value = float(text) if text.isascii() else math.nan
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"is no number of seconds from {low:g} to {high:g}")
        return value

    return parse


def size(text: str) -> int:
    """Bytes, as nginx writes them: ``8k``, ``10m``, ``1g``, or a plain number."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("is no size; write bytes, or a number with k, m or g, e.g. `8k`")
    return int(match[1]) * _UNITS[match[2].lower()]


def choice(*words: str) -> Parser[str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return text

    return parse


def items(text: str) -> tuple[str, ...]:
    """A comma-separated list; blanks around its items don't count."""
    found = tuple(item.strip() for item in text.split(",") if item.strip())
    if len(found) > LIST_ITEMS_MAX:
        raise ValueError(f"has {len(found)} items; {LIST_ITEMS_MAX} are allowed")
    return found


def name(text: str) -> str:
    """A name of ours: letters, digits, dots, dashes, underscores.

    ``~`` is left out since it marks the name of a node that lost a contest (DESIGN 6).
    """
    if len(text) > NAME_CHARS_MAX or not _NAME.fullmatch(text):
        raise ValueError(
            f"is no name; write at most {NAME_CHARS_MAX} letters, digits, dots, dashes or "
            "underscores, beginning and ending with a letter or digit"
        )
    return text


def any_text(value: str) -> str:
    """Any text."""
    return value


def path(text: str) -> str:
    """A file's path; ``~`` is not expanded, as in Kong."""
    if len(text) > PATH_CHARS_MAX:
        raise ValueError(f"is a path of {len(text)} characters; {PATH_CHARS_MAX} are allowed")
    return text


def optional_path(text: str) -> Path | None:
    """A file's path, or none."""
    return Path(path(text)) if text else None


def processes(text: str) -> int:
    """A number of worker processes; ``auto`` is one per processor that this process may use."""
    if text == "auto":
        return available_processors()
    try:
        return integer(1, WORKERS_MAX)(text)
    except ValueError as error:
        raise ValueError(f"{error}, nor `auto`") from None


def trusted_addresses(text: str) -> tuple[str, ...]:
    """CIDRs, with the bits beyond the prefix cleared, and ``unix:``."""
    return tuple(_network(item) for item in items(text))


def _network(item: str) -> str:
    if item == "unix:":
        return item
    try:
        return str(ip_network(item, strict=False))
    except ValueError:
        raise ValueError(
            f"has {item[:80]!r}, which is no address, no CIDR block and not `unix:`"
        ) from None


def header_name(text: str) -> str:
    """A header field's name (RFC 9110, section 5.1)."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("is no header name, e.g. X-Real-IP or X-Forwarded-For")
    return text


def words_of(*allowed: str) -> Parser[tuple[str, ...]]:
    """A list of known words in any case, answered in lower case; ``off`` is the empty list."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(item.lower() for item in items(text))
        if found == ("off",):
            return ()
        for word in found:
            if word not in allowed:
                raise ValueError(f"has {word[:80]!r}, which is none of {', '.join(allowed)}, off")
        return found

    return parse


def host_port(text: str) -> HostPort:
    """``host:port``, the port at least 1."""
    found = parse_host_port(text, default_port=CLUSTER_PORT)
    if found.port == 0:
        raise ValueError("has port 0; the other nodes must know the port")
    return found


def cluster_listen(text: str) -> HostPort:
    """``host:port`` for UDP and TCP; port 0 takes any free one. Port 8005 if none is named."""
    return parse_host_port(text, default_port=CLUSTER_PORT)


def name_servers(text: str) -> tuple[HostPort, ...]:
    """Addresses of name servers; port 53 where none is named."""
    found = tuple(parse_host_port(item, default_port=DNS_PORT) for item in items(text))
    for server in found:
        try:
            ip_address(server.host)
        except ValueError:
            raise ValueError(f"has {server.host[:80]!r}, which is no address") from None
    return found


def record_types(text: str) -> tuple[str, ...]:
    """Types of DNS records, and LAST, in upper case."""
    found = tuple(item.upper() for item in items(text))
    for kind in found:
        if kind not in RECORD_TYPES:
            raise ValueError(f"has {kind[:80]!r}, which is none of {', '.join(RECORD_TYPES)}")
    return found


def seeds(text: str) -> tuple[str, ...]:
    """Addresses of other nodes as ``host:port`` texts; port 8005 where none is named."""
    found = []
    for item in items(text):
        try:
            found.append(str(host_port(item)))
        except ValueError as error:
            raise ValueError(f"{item[:80]!r} {error}") from None
    return tuple(dict.fromkeys(found))


def cluster_key(text: str) -> bytes:
    """32 bytes in base64."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is no base64; `grapevine cluster keygen` makes a key") from None
    if len(key) != CLUSTER_KEY_BYTES:
        raise ValueError(
            f"is a key of {len(key)} bytes; {CLUSTER_KEY_BYTES} are needed: "
            "`grapevine cluster keygen` makes one"
        )
    return key


def url(text: str) -> str:
    """An http or https URL."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or _SPACE_OR_CONTROL.search(text):
        raise ValueError("is no URL; write http://host:port or https://host:port")
    return text


def gui_path(text: str) -> str:
    """A path in URLs, by Kong's rules for ``admin_gui_path`` (conf_loader)."""
    if not text.startswith("/"):
        raise ValueError("must start with a slash ('/')")
    if len(text) > 1 and text.endswith("/"):
        raise ValueError("must not end with a slash ('/')")
    if "//" in text:
        raise ValueError("must not contain continuous slashes ('/')")
    if len(text) > PATH_CHARS_MAX or not re.fullmatch(r"[A-Za-z0-9_/-]+", text):
        raise ValueError(
            "can only contain letters, digits, hyphens ('-'), underscores ('_'), and slashes ('/')"
        )
    return text


def address_of_api(text: str) -> str:
    """Host, port and path at which browsers find the Admin API; with a scheme or, as in Kong,
    without: then it is that of the page."""
    if text and "://" in text:
        return url(text)
    if _SPACE_OR_CONTROL.search(text) or len(text) > PATH_CHARS_MAX:
        raise ValueError("is no address; write host:port/path or https://host:port/path")
    return text


def origins(text: str) -> tuple[str, ...]:
    """Web origins, ``scheme://host[:port]``, in lower case and without a path; or ``*``."""
    found = []
    for item in items(text):
        if item == "*":
            found.append(item)
            continue
        parts = urlsplit(url(item))
        if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError(f"has {item[:80]!r}; an origin is scheme://host:port and no more")
        found.append(f"{parts.scheme}://{parts.netloc}".lower())
    return tuple(found)


def log_destination(text: str) -> str:
    """``off``, ``/dev/stdout``, ``/dev/stderr``, or a path."""
    if re.search(r"\s[A-Za-z0-9_]+$", text):  # nginx: access_log <path> <format>
        raise ValueError("ends in a log format's name; name a path alone")
    return path(text)


def token(value: str) -> str:
    """A secret that rides in a header: visible ASCII, 16 to 1,024 characters."""
    if not re.fullmatch(r"[\x21-\x7e]{16,1024}", value):
        raise ValueError("is no token; write 16 to 1024 visible ASCII characters without blanks")
    return value


def optional(parse: Parser[str]) -> Parser[str]:
    """What ``parse`` takes, or the empty text, which stands for none."""

    def parse_unless_empty(value: str) -> str:
        return parse(value) if value else value

    return parse_unless_empty


def database(value: str) -> str:
    """Where the authority lives."""
    if value == "cassandra":
        raise ValueError("is gone since Kong 3.4; use postgres or sqlite")
    return choice("sqlite", "postgres", "off")(value)


def router_flavor(value: str) -> str:
    """How routes are compared."""
    if value == "expressions":
        raise ValueError("is not built; use traditional_compatible")
    return choice("traditional_compatible", "traditional")(value)
