"""What the two plugins share that have a language model rewrite requests or responses."""

from store.schema.checks import Conditional, EntityCheck, Match, MutuallyRequired
from store.schema.field import Field
from store.schema.plugins.llm import MAX_REQUEST_BODY_SIZE, llm
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.typedefs import HOST, PORT, having

_CHAT = "llm/v1/chat"
_CHECKS: tuple[EntityCheck, ...] = (
    Conditional(
        "config.llm.route_type",
        Match(not_one_of=(_CHAT,)),
        "config.llm.route_type",
        Match(eq=_CHAT),
        f"'config.llm.route_type' must be '{_CHAT}' for AI transformer plugins",
    ),
    MutuallyRequired(("config.http_proxy_host", "config.http_proxy_port")),
    MutuallyRequired(("config.https_proxy_host", "config.https_proxy_port")),
)


def transformer(name: str, priority: int, what: str, **further: Field) -> PluginSchema:
    """The schema of the one that rewrites a ``what``, with the fields that it adds."""
    return PluginSchema(
        name=name,
        priority=priority,
        scopes=NO_CONSUMER,
        config=config(
            {
                "prompt": Field("string", f"What to make of the {what}.", required=True),
                "transformation_extract_pattern": Field(
                    "string", "Expression of the part of the answer to take."
                ),
                **further,
                "http_timeout": Field("integer", "Milliseconds.", required=True, default=60000),
                "https_verify": Field(
                    "boolean", "Whether to verify the certificate.", required=True, default=True
                ),
                "max_request_body_size": MAX_REQUEST_BODY_SIZE,
                "http_proxy_host": having(HOST, description="A proxy on the way."),
                "http_proxy_port": having(PORT, description="Its port."),
                "https_proxy_host": having(HOST, description="A proxy on the way."),
                "https_proxy_port": having(PORT, description="Its port."),
                "llm": llm(),
            }
        ),
        checks=_CHECKS,
    )
