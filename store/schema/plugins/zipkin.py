"""zipkin: traces to Zipkin."""

from typing import Any

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.propagation import HEADER_TYPES, old_header_type, propagation
from store.schema.plugins.queue import QUEUE
from store.schema.plugins.typedefs import MILLISECONDS, URL
from store.schema.typedefs import having

_PROTECTED_TAGS = (
    "error",
    "http.method",
    "http.path",
    "http.status_code",
    "kong.balancer.state",
    "kong.balancer.try",
    "kong.consumer",
    "kong.credential",
    "kong.node.id",
    "kong.route",
    "kong.service",
    "lc",
    "peer.hostname",
)


def _tags_error(tags: list[dict[str, Any]]) -> str | None:
    found: set[str] = set()
    for tag in tags:
        if tag["name"] in found:
            return f"repeated tags are not allowed: {tag['name']}"
        found.add(tag["name"])
    return None


PLUGIN = PluginSchema(
    name="zipkin",
    priority=100000,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "local_service_name": Field(
                "string", "Name of this gateway in traces.", required=True, default="kong"
            ),
            "http_endpoint": having(URL, description="Where spans go."),
            "sample_ratio": Field(
                "number", "Share of untraced requests to trace.", default=0.001, between=(0, 1)
            ),
            "default_service_name": Field("string", "For services without a name."),
            "include_credential": Field(
                "boolean", "Whether spans name the credential.", required=True, default=True
            ),
            "traceid_byte_count": Field(
                "integer", "Bytes of a trace's id.", required=True, default=16, one_of=(8, 16)
            ),
            "header_type": Field(
                "string",
                "Older form of propagation.",
                required=True,
                default="preserve",
                one_of=HEADER_TYPES,
                deprecation=old_header_type(
                    "zipkin", "header_type", "preserve", "propagation options"
                ),
            ),
            "default_header_type": Field(
                "string",
                "Older form of propagation.default_format.",
                required=True,
                default="b3",
                one_of=HEADER_TYPES[2:],
                deprecation=old_header_type(
                    "zipkin", "default_header_type", "b3", "propagation.default_format"
                ),
            ),
            "tags_header": Field(
                "string",
                "Request header that adds tags.",
                required=True,
                default="Zipkin-Tags",
            ),
            "static_tags": Field(
                "array",
                "Tags of every span.",
                elements=Field(
                    "record",
                    fields={
                        "name": Field(
                            "string", "Name of the tag.", required=True, not_one_of=_PROTECTED_TAGS
                        ),
                        "value": Field("string", "Its value.", required=True),
                    },
                ),
                check=_tags_error,
            ),
            "http_span_name": Field(
                "string",
                "What names a span.",
                required=True,
                default="method",
                one_of=("method", "method_path"),
            ),
            "connect_timeout": having(MILLISECONDS, description="Milliseconds.", default=2000),
            "send_timeout": having(MILLISECONDS, description="Milliseconds.", default=5000),
            "read_timeout": having(MILLISECONDS, description="Milliseconds.", default=5000),
            "http_response_header_for_traceid": Field(
                "string", "Response header that names the trace."
            ),
            "phase_duration_flavor": Field(
                "string",
                "How the phases' durations are told.",
                required=True,
                default="annotations",
                one_of=("annotations", "tags"),
            ),
            "queue": QUEUE,
            "propagation": propagation("b3"),
        }
    ),
)
