"""Routes: which requests go to which service (``entities/routes.lua``, ``routes_subschemas.lua``).

What a route may match on depends on its protocols: Kong's subschemas, keyed by the first protocol
of the set. These are the fields of the router flavors ``traditional_compatible`` and
``traditional``.
"""

from store.schema.checks import Condition, ForbiddenUnless, OneOfFor
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.parts import Subschema
from store.schema.typedefs import (
    CREATED_AT,
    ENDPOINTS,
    HEADERS,
    HOSTS,
    METHODS,
    PROTOCOL,
    ROUTER_PATHS,
    TAGS,
    UPDATED_AT,
    UTF8_NAME,
    UUID,
    WILDCARD_HOST,
    having,
)

_PROTOCOLS = Field(
    "set",
    "Protocols this route accepts.",
    required=True,
    default=["http", "https"],
    len_min=1,
    elements=PROTOCOL,
    mutually_exclusive_subsets=(
        ("http", "https"),
        ("tcp", "tls", "udp"),
        ("tls_passthrough",),
        ("grpc", "grpcs"),
    ),
)
_STRIP_PATH = Field("boolean", "Whether to remove the matched prefix.", required=True, default=True)
_FIELDS = {
    "methods": METHODS,
    "hosts": HOSTS,
    "paths": ROUTER_PATHS,
    "headers": HEADERS,
    "sources": having(ENDPOINTS, description="Client addresses and ports (stream)."),
    "destinations": having(ENDPOINTS, description="Own addresses and ports (stream)."),
}


def _refused(names: tuple[str, ...], protocols: str) -> dict[str, Field]:
    return {
        name: having(
            _FIELDS[name], null_only=f"cannot set '{name}' when 'protocols' is {protocols}"
        )
        for name in names
    }


def _needs(
    protocols: tuple[str, ...], fields: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    shown = ", ".join(f"'{protocol}'" for protocol in protocols[:-1])
    shown = f"{shown} or '{protocols[-1]}'" if shown else f"'{protocols[-1]}'"
    return protocols, fields, f"must set one of %s when 'protocols' is {shown}"


_GRPC_NAMES = "'grpc' or 'grpcs'"
_HTTP = Subschema(
    fields=_refused(("sources", "destinations"), "'http' or 'https'"),
    checks=(
        OneOfFor(
            "protocols",
            (
                _needs(("https",), ("methods", "hosts", "headers", "paths", "snis")),
                _needs(("http",), ("methods", "hosts", "headers", "paths")),
            ),
        ),
    ),
)
_STREAM = Subschema(
    fields=_refused(
        ("methods", "hosts", "paths", "headers"), "'tcp', 'tls', 'tls_passthrough' or 'udp'"
    ),
    checks=(
        OneOfFor(
            "protocols", (_needs(("tcp", "tls", "udp"), ("sources", "destinations", "snis")),)
        ),
        OneOfFor(
            "protocols",
            (
                (
                    ("tls_passthrough",),
                    ("snis",),
                    "must set snis when 'protocols' is 'tls_passthrough'",
                ),
            ),
        ),
    ),
)
_GRPC = Subschema(
    fields={
        "strip_path": having(
            _STRIP_PATH,
            default=False,
            forbidden=(True, f"cannot set 'strip_path' when 'protocols' is {_GRPC_NAMES}"),
        ),
        **_refused(("methods", "sources", "destinations"), _GRPC_NAMES),
    },
    checks=(
        OneOfFor(
            "protocols",
            (
                _needs(("grpcs",), ("hosts", "headers", "paths", "snis")),
                _needs(("grpc",), ("hosts", "headers", "paths")),
            ),
        ),
    ),
)


def _unknown(protocol: str) -> str:
    return f"unknown type: {protocol}"


ROUTES = Schema(
    kind="routes",
    entity_name="route",
    endpoint_key="name",
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "name": UTF8_NAME,
        "protocols": _PROTOCOLS,
        "https_redirect_status_code": Field(
            "integer",
            "Status of the answer when everything matches but the protocol.",
            required=True,
            default=426,
            one_of=(426, 301, 302, 307, 308),
        ),
        "strip_path": _STRIP_PATH,
        "preserve_host": Field(
            "boolean", "Whether the upstream sees the client's Host.", required=True, default=False
        ),
        "request_buffering": Field(
            "boolean", "Whether to read the request whole first.", required=True, default=True
        ),
        "response_buffering": Field(
            "boolean", "Whether to read the response whole first.", required=True, default=True
        ),
        "tags": TAGS,
        "service": Field("foreign", "Where matching requests go.", reference="services"),
        "snis": Field("set", "TLS server names.", elements=WILDCARD_HOST),
        **_FIELDS,
        "regex_priority": Field(
            "integer", "Higher ones are tried first among regular expressions.", default=0
        ),
        "path_handling": Field(
            "string",
            "How the service's path, the route's and the request's are joined.",
            default="v0",
            one_of=("v0", "v1"),
        ),
    },
    checks=(
        ForbiddenUnless(
            "protocols",
            Condition(_PROTOCOLS, ("grpcs", "https", "tls", "tls_passthrough"), negated=True),
            "snis",
            error=(
                "'snis' can only be set when 'protocols' is "
                "'grpcs', 'https', 'tls' or 'tls_passthrough'"
            ),
            empty_allowed=True,
        ),
    ),
    subschema_key="protocols",
    unknown_subschema=_unknown,
    subschemas={
        "http": _HTTP,
        "https": _HTTP,
        "tcp": _STREAM,
        "tls": _STREAM,
        "udp": _STREAM,
        "tls_passthrough": _STREAM,
        "grpc": _GRPC,
        "grpcs": _GRPC,
    },
)
