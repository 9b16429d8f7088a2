"""Field types that plugin configurations share, after ``kong/db/schema/typedefs.lua``."""

import re
from typing import NamedTuple

import re2

from store.limits import REGEX_CHARS_MAX
from store.schema.addresses import Address, parse_address
from store.schema.field import Field
from store.schema.typedefs import header_name_error

_SCHEME = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"//([^/?#]*)")
_PORT = re.compile(r":[^:\]]*\Z")

_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False  # the client is told; RE2 would also write to stderr


class UrlParts(NamedTuple):
    """What the checks of URLs look at."""

    scheme: str
    userinfo: str
    host: str


def url_parts(url: str) -> UrlParts:
    """Take a URL apart as LuaSocket does; a part that isn't there is empty."""
    rest = url.partition("#")[0]
    scheme = _SCHEME.match(rest)
    if scheme:
        rest = rest[scheme.end() :]
    authority = _AUTHORITY.match(rest)
    userinfo, _, host = (authority.group(1) if authority else "").rpartition("@")
    return UrlParts(scheme.group(1) if scheme else "", userinfo, _PORT.sub("", host))


def url_error(url: str) -> str | None:
    """A URL must name a host and a scheme."""
    parts = url_parts(url)
    if not parts.host:
        return "missing host in url"
    return None if parts.scheme else "missing scheme in url"


def sni_error(name: str) -> str | None:
    """A TLS server name: no address, no port."""
    address = parse_address(name)
    if isinstance(address, str) and address != "invalid port number":
        return f"invalid value: {name}"
    if isinstance(address, Address) and address.kind != "name":
        return "must not be an IP"
    return None if isinstance(address, Address) and address.port is None else "must not have a port"


def is_regex(text: str) -> bool:
    """Whether RE2 takes it: here no pattern can stall a worker, so there is no look-around."""
    if len(text) > REGEX_CHARS_MAX:
        return False
    try:
        re2.compile(text, _RE2_OPTIONS)
    except re2.error:
        return False
    return True


def _regex_error(text: str) -> str | None:
    return None if is_regex(text) else f"not a valid regex: {text}"


URL = Field("string", check=url_error)
SNI = Field("string", check=sni_error)
HEADER_NAME = Field("string", check=header_name_error)
REGEX = Field("string", check=_regex_error)
STRINGS = Field("array", elements=Field("string"))
MILLISECONDS = Field("integer", between=(0, 2**31 - 2))
LUA_CODE = Field(
    "map",
    "Fields of the log entry, each with the Lua code that makes its value.",
    keys=Field("string", len_min=1),
    values=Field("string", len_min=1),
)
ANONYMOUS = Field(
    "string", "Id or username of the consumer that requests without a credential count as."
)
REALM = Field("string", "The realm named in WWW-Authenticate when authentication fails.")
HIDE_CREDENTIALS = Field(
    "boolean", "Keep the credential from the upstream.", required=True, default=False
)
SEVERITY = Field(
    "string",
    one_of=("debug", "info", "notice", "warning", "err", "crit", "alert", "emerg"),
    default="info",
)
