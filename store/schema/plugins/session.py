"""session: a cookie that stands for a credential once that was checked."""

from collections.abc import Mapping
from typing import Any

from store.schema.field import Field, Shorthand
from store.schema.plugins.plugin import ALL_PROTOCOLS, NO_CONSUMER, PluginSchema, config

_HEADERS = Field(
    "set",
    "What is told of the session in headers.",
    elements=Field(
        "string",
        one_of=(
            "id",
            "audience",
            "subject",
            "timeout",
            "idling-timeout",
            "rolling-timeout",
            "absolute-timeout",
        ),
    ),
)


def _seconds(description: str, default: int) -> Field:
    return Field("number", f"{description}, in seconds.", default=default)


def _same_site(value: Any) -> Mapping[str, Any]:
    return {"cookie_same_site": "Lax" if value == "off" else value}


def _renamed(kind: Any, name: str) -> Shorthand:
    return Shorthand(Field(kind), expand=lambda value: {name: value})


PLUGIN = PluginSchema(
    name="session",
    priority=1900,
    protocols=ALL_PROTOCOLS,
    scopes=NO_CONSUMER,
    config=config(
        {
            "secret": Field(
                "string",
                "Key of the cookies' encryption; drawn when it isn't given.",
                auto=True,
                encrypted=True,
                referenceable=True,
            ),
            "storage": Field(
                "string",
                "Where sessions are kept: in the cookie or in the database.",
                default="cookie",
                one_of=("cookie", "kong"),
            ),
            "audience": Field("string", "Which application it is for.", default="default"),
            "idling_timeout": _seconds("Life without a request", 900),
            "rolling_timeout": _seconds("Life until it is renewed", 3600),
            "absolute_timeout": _seconds("Longest life", 86400),
            "stale_ttl": _seconds("How long a renewed cookie's predecessor still counts", 10),
            "cookie_name": Field("string", "Name of the cookie.", default="session"),
            "cookie_path": Field("string", "Path of the cookie.", default="/"),
            "cookie_domain": Field("string", "Domain of the cookie."),
            "cookie_same_site": Field(
                "string",
                "Whether other sites may send the cookie.",
                default="Strict",
                one_of=("Strict", "Lax", "None", "Default"),
            ),
            "cookie_http_only": Field(
                "boolean", "Whether scripts are kept from the cookie.", default=True
            ),
            "cookie_secure": Field("boolean", "Whether the cookie needs TLS.", default=True),
            "remember": Field("boolean", "Whether sessions outlive the browser.", default=False),
            "remember_cookie_name": Field(
                "string", "Name of a lasting session's cookie.", default="remember"
            ),
            "remember_rolling_timeout": _seconds(
                "Life of a lasting session until it is renewed", 604800
            ),
            "remember_absolute_timeout": _seconds("Longest life of a lasting session", 2592000),
            "response_headers": _HEADERS,
            "request_headers": _HEADERS,
            "read_body_for_logout": Field(
                "boolean", "Whether a body may ask for the end.", default=False
            ),
            "logout_methods": Field(
                "set",
                "Methods that may end a session.",
                default=["POST", "DELETE"],
                elements=Field("string", one_of=("GET", "POST", "DELETE")),
            ),
            "logout_query_arg": Field(
                "string", "Argument in a query that ends a session.", default="session_logout"
            ),
            "logout_post_arg": Field(
                "string", "Argument in a body that ends a session.", default="session_logout"
            ),
        },
        shorthands={
            "cookie_lifetime": _renamed("number", "rolling_timeout"),
            "cookie_idletime": Shorthand(
                Field("number"), expand=lambda value: {"idling_timeout": value or 0}
            ),
            "cookie_renew": Shorthand(Field("number"), expand=lambda value: {}),
            "cookie_discard": _renamed("number", "stale_ttl"),
            "cookie_samesite": Shorthand(Field("string"), expand=_same_site),
            "cookie_httponly": _renamed("boolean", "cookie_http_only"),
            "cookie_persistent": _renamed("boolean", "remember"),
        },
    ),
)
