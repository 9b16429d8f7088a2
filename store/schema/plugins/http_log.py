"""http-log: log entries by HTTP."""

import re
from collections.abc import Mapping
from typing import Any

from store.schema.field import Field, Pattern
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.queue import QUEUE, old_queue_fields
from store.schema.plugins.typedefs import HEADER_NAME, LUA_CODE, URL, url_parts
from store.schema.typedefs import having


def _any_case(name: str) -> Pattern:
    lua = "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else f"%{c}" for c in name)
    return Pattern(
        re.compile(rf"\A{name}\Z", re.IGNORECASE), f"^{lua}$", f"cannot contain '{name}' header"
    )


def _error(settings: Mapping[str, Any]) -> str | None:
    if not url_parts(settings["http_endpoint"]).userinfo:
        return None
    if any(name.lower() == "authorization" for name in settings.get("headers") or ()):
        return (
            "specifying both an 'Authorization' header and user info in 'http_endpoint' "
            "is not allowed"
        )
    return None


PLUGIN = PluginSchema(
    name="http-log",
    priority=12,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "http_endpoint": having(
                URL,
                description="Where entries go.",
                required=True,
                encrypted=True,
                referenceable=True,
            ),
            "method": Field(
                "string", "Method of the requests.", default="POST", one_of=("POST", "PUT", "PATCH")
            ),
            "content_type": Field(
                "string",
                "Of what is sent.",
                default="application/json",
                one_of=("application/json", "application/json; charset=utf-8"),
            ),
            "timeout": Field("number", "Milliseconds to send.", default=10000),
            "keepalive": Field(
                "number", "Milliseconds for which an idle connection is kept.", default=60000
            ),
            **old_queue_fields("http-log"),
            "headers": Field(
                "map",
                "Further headers of what is sent.",
                keys=having(
                    HEADER_NAME,
                    match_none=tuple(
                        _any_case(name) for name in ("Host", "Content-Length", "Content-Type")
                    ),
                ),
                values=Field("string", referenceable=True),
            ),
            "queue": QUEUE,
            "custom_fields_by_lua": LUA_CODE,
        },
        check=_error,
    ),
)
