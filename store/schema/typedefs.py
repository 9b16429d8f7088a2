"""Field types that several entities share, after ``kong/db/schema/typedefs.lua``."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from store.limits import TAG_CHARS_MAX, TTL_SECONDS_MAX, UNIQUE_CHARS_MAX
from store.schema.addresses import (
    host_error,
    host_with_port_error,
    ip_or_cidr_error,
    route_host_error,
    sni_error,
    wildcard_host_error,
)
from store.schema.checks import AtLeastOneOf
from store.schema.field import Field, Pattern
from store.schema.parts import Transformation
from store.schema.paths import path_error, route_path_error

PROTOCOLS = ("grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp")

_UTF8_NAME = re.compile(r"[A-Za-z0-9._~\u0080-\U0010ffff-]+")
_TAG = re.compile(r"[ !-+\-.0-~\u0080-\U0010ffff]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9_-]+")
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _utf8_name_error(name: str) -> str | None:
    if _UTF8_NAME.fullmatch(name):
        return None
    return (
        f"invalid value '{name}': "
        "the only accepted ascii characters are alphanumerics or ., -, _, and ~"
    )


def tag_error(tag: str) -> str | None:
    if _TAG.fullmatch(tag):
        return None
    return (
        f"invalid tag '{tag}': "
        "expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
    )


def header_name_error(name: str) -> str | None:
    if _HEADER_NAME.fullmatch(name):
        return None
    return f"bad header name '{name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"


def _cookie_name_error(name: str) -> str | None:
    if _COOKIE_NAME.fullmatch(name):
        return None
    return f"bad cookie name '{name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"


def _certificate_error(text: str) -> str | None:
    from store.schema.pem import certificate_error

    return certificate_error(text)


def _private_key_error(text: str) -> str | None:
    from store.schema.pem import private_key_error

    return private_key_error(text)


UUID = Field("string", "Identifies the entity; drawn when it isn't given.", uuid=True, auto=True)
CREATED_AT = Field("integer", "Creation time, Unix seconds.", timestamp=True, auto=True)
UPDATED_AT = Field("integer", "Time of the last write, Unix seconds.", timestamp=True, auto=True)
UTF8_NAME = Field(
    "string",
    "A unique name, usable in place of the id.",
    unique=True,
    len_max=UNIQUE_CHARS_MAX,
    check=_utf8_name_error,
)
UNIQUE_TEXT = Field("string", unique=True, len_max=UNIQUE_CHARS_MAX)
PROTOCOL = Field("string", one_of=PROTOCOLS)
HOST = Field("string", check=host_error)
HOST_WITH_PORT = Field("string", check=host_with_port_error)
SNI = Field("string", check=sni_error)
HEADER_NAME = Field("string", check=header_name_error)
COOKIE_NAME = Field("string", check=_cookie_name_error)
CERTIFICATE = Field("string", check=_certificate_error)
PRIVATE_KEY = Field("string", check=_private_key_error, encrypted=True)
IP_OR_CIDR = Field("string", check=ip_or_cidr_error)
PORT = Field("integer", between=(0, 65535))
TIMEOUT = Field("integer", between=(1, 2**31 - 2))
PATH = Field(
    "string",
    starts_with="/",
    match_none=(Pattern(re.compile("//"), "//", "must not have empty segments"),),
    check=path_error,
)
TAGS = Field(
    "set",
    "Labels to group and filter entities by.",
    elements=Field("string", required=True, len_max=TAG_CHARS_MAX, check=tag_error),
)
TTL = Field(
    "number",
    "Seconds until it expires; 0 and null: never.",
    transient=True,
    between=(0, TTL_SECONDS_MAX),
)
EXPIRES_AT = Field("number", "When it expires, Unix seconds.", internal=True)
WILDCARD_HOST = Field("string", check=wildcard_host_error)
METHODS = Field(
    "set",
    "HTTP methods, in upper case.",
    elements=Field("string", match=Pattern(re.compile(r"\A[A-Z]+\Z"), "^%u+$", "invalid value: ")),
)
HOSTS = Field(
    "array",
    "Host names, with at most one wildcard label, first or last.",
    elements=Field(
        "string",
        match_all=(
            Pattern(
                re.compile(r"\A[^*]*\*?[^*]*\Z"),
                "^[^*]*%*?[^*]*$",
                "invalid wildcard: must have at most one wildcard",
            ),
        ),
        match_any=tuple(
            Pattern(
                re.compile(regex),
                lua,
                "invalid wildcard: must be placed at leftmost or rightmost label",
            )
            for regex, lua in (
                (r"\A\*\.", "^%*%."),
                (r"\.\*\Z", "%.%*$"),
                (r"\A[^*]*\Z", "^[^*]*$"),
            )
        ),
        check=route_host_error,
    ),
)
ROUTER_PATHS = Field(
    "array",
    "Path prefixes, or '~' and a regular expression (RE2).",
    elements=Field(
        "string",
        match_any=tuple(
            Pattern(
                re.compile(regex), regex, "should start with: / (fixed path) or ~/ (regex path)"
            )
            for regex in ("^/", "^~/")
        ),
        match_none=(Pattern(re.compile("//"), "//", "must not have empty segments"),),
        check=route_path_error,
    ),
)
HEADERS = Field(
    "map",
    "Header names and the values that match.",
    keys=Field(
        "string",
        match_none=(
            Pattern(
                re.compile(r"\A[Hh][Oo][Ss][Tt]\Z"),
                "^[Hh][Oo][Ss][Tt]$",
                "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
            ),
        ),
        check=header_name_error,
    ),
    values=Field("array", elements=Field("string")),
)
ENDPOINTS = Field(
    "set",
    elements=Field(
        "record",
        fields={"ip": IP_OR_CIDR, "port": PORT},
        checks=(AtLeastOneOf(("ip", "port")),),
    ),
)


def having(field: Field, **attributes: Any) -> Field:
    """The field with some attributes changed."""
    return replace(field, **attributes)


def _expires_at(entity: Mapping[str, Any], now: float) -> dict[str, float | None]:
    ttl = entity.get("ttl")
    return {"expires_at": round(now + ttl, 3) if ttl else None}


EXPIRY = Transformation(("ttl",), _expires_at)
"""Of every kind with ``ttl``: a write names the time left, the time of expiry is stored."""
