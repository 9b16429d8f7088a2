"""opentelemetry: traces and logs by OTLP over HTTP."""

from store.schema.checks import AtLeastOneOf
from store.schema.field import Deprecation, Field, Shorthand
from store.schema.plugins.plugin import PluginSchema, config
from store.schema.plugins.propagation import HEADER_TYPES, old_header_type, propagation
from store.schema.plugins.queue import QUEUE
from store.schema.plugins.typedefs import HEADER_NAME, MILLISECONDS, URL
from store.schema.typedefs import having


def _old_batch(name: str, successor: str, old_default: int) -> Field:
    return Field(
        "integer",
        f"Older form of queue.{successor}.",
        deprecation=Deprecation(
            f"opentelemetry: config.{name} is deprecated, "
            f"please use config.queue.{successor} instead",
            old_default=old_default,
        ),
    )


PLUGIN = PluginSchema(
    name="opentelemetry",
    priority=14,
    config=config(
        {
            "traces_endpoint": having(URL, description="Where spans go.", referenceable=True),
            "logs_endpoint": having(URL, description="Where logs go.", referenceable=True),
            "headers": Field(
                "map",
                "Further headers of what is sent.",
                keys=HEADER_NAME,
                values=Field("string", referenceable=True),
            ),
            "resource_attributes": Field(
                "map",
                "Further attributes of the resource.",
                keys=Field("string", required=True),
                values=Field("string", required=True),
            ),
            "queue": having(QUEUE, default={"max_batch_size": 200}),
            "batch_span_count": _old_batch("batch_span_count", "max_batch_size", 200),
            "batch_flush_delay": _old_batch("batch_flush_delay", "max_coalescing_delay", 3),
            "connect_timeout": having(MILLISECONDS, description="Milliseconds.", default=1000),
            "send_timeout": having(MILLISECONDS, description="Milliseconds.", default=5000),
            "read_timeout": having(MILLISECONDS, description="Milliseconds.", default=5000),
            "http_response_header_for_traceid": Field(
                "string", "Response header that names the trace."
            ),
            "header_type": Field(
                "string",
                "Older form of propagation.",
                default="preserve",
                one_of=HEADER_TYPES,
                deprecation=old_header_type(
                    "opentelemetry", "header_type", "preserve", "propagation options"
                ),
            ),
            "sampling_rate": Field(
                "number", "Share of requests to trace; null: as configured.", between=(0, 1)
            ),
            "propagation": propagation("w3c"),
        },
        checks=(AtLeastOneOf(("traces_endpoint", "logs_endpoint")),),
        shorthands={
            "endpoint": Shorthand(
                having(
                    URL,
                    referenceable=True,
                    deprecation=Deprecation(
                        "OpenTelemetry: config.endpoint is deprecated, "
                        "please use config.traces_endpoint instead"
                    ),
                ),
                expand=lambda value: {"traces_endpoint": value},
            )
        },
    ),
)
