"""datadog: metrics to a Datadog agent."""

import re
from typing import Any

from store.schema.checks import Conditional, Match
from store.schema.field import Field, Pattern
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.queue import QUEUE, old_queue_fields
from store.schema.typedefs import HOST, PORT, having

_METRICS = (
    "kong_latency",
    "latency",
    "request_count",
    "request_size",
    "response_size",
    "upstream_latency",
)
_DEFAULT_TYPES = {
    "request_count": "counter",
    "latency": "timer",
    "request_size": "timer",
    "response_size": "timer",
    "upstream_latency": "timer",
    "kong_latency": "timer",
}


def _default_metric(name: str, stat_type: str) -> dict[str, Any]:
    sampled = {"sample_rate": 1} if stat_type == "counter" else {}
    return {
        "name": name,
        "stat_type": stat_type,
        **sampled,
        "tags": ["app:kong"],
        "consumer_identifier": "custom_id",
    }


_TAG = Field(
    "string",
    match=Pattern(re.compile(r"\A.*[^:]\Z", re.DOTALL), "^.*[^:]$", "invalid value: "),
)
_METRIC = Field(
    "record",
    fields={
        "name": Field("string", "What is measured.", required=True, one_of=_METRICS),
        "stat_type": Field(
            "string",
            "Kind of metric.",
            required=True,
            one_of=("counter", "gauge", "histogram", "meter", "set", "timer", "distribution"),
        ),
        "tags": Field("array", "Tags of the metric.", elements=_TAG),
        "sample_rate": Field("number", "Share of requests that are measured.", between=(0, 1)),
        "consumer_identifier": Field(
            "string", "What names the consumer.", one_of=("consumer_id", "custom_id", "username")
        ),
    },
    checks=(
        Conditional(
            "stat_type", Match(one_of=("counter", "gauge")), "sample_rate", Match(required=True)
        ),
    ),
)

PLUGIN = PluginSchema(
    name="datadog",
    priority=10,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "host": having(
                HOST, description="Where metrics go.", referenceable=True, default="localhost"
            ),
            "port": having(PORT, description="Where metrics go.", default=8125),
            "prefix": Field("string", "Begins each metric's name.", default="kong"),
            "service_name_tag": Field("string", "Tag of the service.", default="name"),
            "status_tag": Field("string", "Tag of the status.", default="status"),
            "consumer_tag": Field("string", "Tag of the consumer.", default="consumer"),
            **old_queue_fields("datadog"),
            "queue": QUEUE,
            "metrics": Field(
                "array",
                "What is measured.",
                required=True,
                default=[_default_metric(*item) for item in _DEFAULT_TYPES.items()],
                elements=_METRIC,
            ),
        }
    ),
)
