"""cors: answers to browsers that ask whether a page of another origin may call."""

from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import STRINGS, is_regex
from store.schema.typedefs import having

_METHODS = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def _origin_error(origin: str) -> str | None:
    return None if origin == "*" or is_regex(origin) else f"'{origin}' is not a valid regex"


PLUGIN = PluginSchema(
    name="cors",
    priority=2000,
    scopes=NO_CONSUMER,
    config=config(
        {
            "origins": Field(
                "array",
                "Origins that may call: literal, a regular expression, or * for all.",
                elements=Field("string", check=_origin_error),
            ),
            "headers": having(STRINGS, description="Access-Control-Allow-Headers."),
            "exposed_headers": having(STRINGS, description="Access-Control-Expose-Headers."),
            "methods": Field(
                "array",
                "Access-Control-Allow-Methods.",
                default=list(_METHODS),
                elements=Field("string", one_of=_METHODS),
            ),
            "max_age": Field("number", "Seconds for which browsers may keep the answer."),
            "credentials": Field(
                "boolean", "Access-Control-Allow-Credentials.", required=True, default=False
            ),
            "private_network": Field(
                "boolean", "Access-Control-Allow-Private-Network.", required=True, default=False
            ),
            "preflight_continue": Field(
                "boolean", "Leave the answer to the upstream.", required=True, default=False
            ),
        }
    ),
)
