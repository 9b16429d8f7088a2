"""Upstreams and their targets: what balances over several addresses, and which.

After ``entities/upstreams.lua``, ``entities/targets.lua`` and ``dao/targets.lua``.
"""

from typing import Any

from store.limits import UNIQUE_CHARS_MAX
from store.schema.addresses import parse_address, with_port
from store.schema.checks import Conditional, Distinct, Match
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.healthchecks import HEALTHCHECKS
from store.schema.typedefs import (
    COOKIE_NAME,
    CREATED_AT,
    HEADER_NAME,
    HOST_WITH_PORT,
    PATH,
    TAGS,
    UPDATED_AT,
    UUID,
    having,
)

TARGET_PORT = 8000
"""The port of a target that names none."""

_HASH_INPUTS = (
    "none",
    "consumer",
    "ip",
    "header",
    "cookie",
    "path",
    "query_arg",
    "uri_capture",
)
_HASH_INPUT = Field("string", default="none", one_of=_HASH_INPUTS)
_ARGUMENT = Field("string", len_min=1)


def _name_error(name: str) -> str | None:
    address = parse_address(name)
    if isinstance(address, str):
        return f"Invalid name ('{name}'); must be a valid hostname"
    if address.kind != "name":
        return f"Invalid name ('{name}'); no ip addresses allowed"
    return None if address.port is None else f"Invalid name ('{name}'); no port allowed"


def _expand_algorithm(value: Any) -> dict[str, Any]:
    """Without hashing there is no input to it."""
    without_input = {"hash_on": None} if value == "least-connections" else {}
    return {"algorithm": value} | without_input


def _expand_hash_on(value: Any) -> dict[str, Any]:
    """Whoever names an input wants hashing: Kong had inputs before it had algorithms."""
    if value is None:
        return {"hash_on": "none"}
    algorithm = "round-robin" if value == "none" else "consistent-hashing"
    return {"hash_on": value, "algorithm": algorithm}


def _needs(hash_field: str, value: str, field: str) -> Conditional:
    return Conditional(hash_field, Match(one_of=(value,)), field, Match(required=True))


def _fallbacks(hash_on: str, *fallbacks: str) -> Conditional:
    allowed = Match(one_of=fallbacks)
    return Conditional("hash_on", Match(one_of=(hash_on,)), "hash_fallback", allowed)


def _fallbacks_but(hash_on: str) -> Conditional:
    return _fallbacks(hash_on, *(other for other in _HASH_INPUTS if other != hash_on))


UPSTREAMS = Schema(
    kind="upstreams",
    entity_name="upstream",
    endpoint_key="name",
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "name": Field(
            "string",
            "A host name, by which services name it as their host.",
            required=True,
            unique=True,
            len_max=UNIQUE_CHARS_MAX,
            check=_name_error,
        ),
        "algorithm": Field(
            "string",
            "How a target is chosen.",
            default="round-robin",
            one_of=("consistent-hashing", "least-connections", "round-robin", "latency"),
        ),
        "hash_on": having(_HASH_INPUT, description="What is hashed."),
        "hash_fallback": having(_HASH_INPUT, description="What is hashed when that is missing."),
        "hash_on_header": having(HEADER_NAME, description="With hash_on = header."),
        "hash_fallback_header": having(HEADER_NAME, description="With hash_fallback = header."),
        "hash_on_cookie": having(COOKIE_NAME, description="With either of them = cookie."),
        "hash_on_cookie_path": having(
            PATH, description="Path of that cookie where it is set here.", default="/"
        ),
        "hash_on_query_arg": having(_ARGUMENT, description="With hash_on = query_arg."),
        "hash_fallback_query_arg": having(_ARGUMENT, description="With hash_fallback = query_arg."),
        "hash_on_uri_capture": having(_ARGUMENT, description="With hash_on = uri_capture."),
        "hash_fallback_uri_capture": having(
            _ARGUMENT, description="With hash_fallback = uri_capture."
        ),
        "slots": Field("integer", "Of the hash ring.", default=10000, between=(10, 2**16)),
        "healthchecks": HEALTHCHECKS,
        "tags": TAGS,
        "host_header": having(HOST_WITH_PORT, description="Host that targets are sent."),
        "client_certificate": Field(
            "foreign", "Certificate shown to the targets.", reference="certificates"
        ),
        "use_srv_name": Field(
            "boolean", "Whether the Host sent is the name of the SRV record.", default=False
        ),
    },
    checks=(
        _needs("hash_on", "header", "hash_on_header"),
        _needs("hash_fallback", "header", "hash_fallback_header"),
        _needs("hash_on", "cookie", "hash_on_cookie"),
        _needs("hash_fallback", "cookie", "hash_on_cookie"),
        _fallbacks("none", "none"),
        _fallbacks("cookie", "none"),
        _fallbacks_but("consumer"),
        _fallbacks_but("ip"),
        _fallbacks_but("path"),
        Distinct(("hash_on_header", "hash_fallback_header")),
        _needs("hash_on", "query_arg", "hash_on_query_arg"),
        _needs("hash_fallback", "query_arg", "hash_fallback_query_arg"),
        Distinct(("hash_on_query_arg", "hash_fallback_query_arg")),
        _needs("hash_on", "uri_capture", "hash_on_uri_capture"),
        _needs("hash_fallback", "uri_capture", "hash_fallback_uri_capture"),
        Distinct(("hash_on_uri_capture", "hash_fallback_uri_capture")),
    ),
    shorthands={
        "algorithm": (Field("string"), _expand_algorithm),
        "hash_on": (Field("string"), _expand_hash_on),
    },
)


def _target_error(target: str) -> str | None:
    if isinstance(parse_address(target), str):
        return f"Invalid target ('{target}'); not a valid hostname or ip address"
    return None


def _canonical_target(target: str) -> str:
    return with_port(target, TARGET_PORT)


TARGETS = Schema(
    kind="targets",
    entity_name="target",
    endpoint_key=None,
    fields={
        "id": UUID,
        "created_at": having(CREATED_AT, description="Unix seconds.", type="number"),
        "updated_at": having(UPDATED_AT, description="Unix seconds.", type="number"),
        "upstream": Field(
            "foreign",
            "Which balances over it.",
            reference="upstreams",
            required=True,
            on_delete="cascade",
        ),
        "target": Field(
            "string",
            f"Host and port; {TARGET_PORT} when none is named.",
            required=True,
            check=_target_error,
            canonical=_canonical_target,
        ),
        "weight": Field(
            "integer", "Share of the traffic; 0 gets none.", default=100, between=(0, 65535)
        ),
        "tags": TAGS,
    },
    unique_together=(("upstream", "target"),),
    scoped_key=("upstream", "target"),
    endpoints="nested",
)
