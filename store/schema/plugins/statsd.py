"""statsd: metrics to a StatsD server."""

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
    "request_per_user",
    "request_size",
    "response_size",
    "status_count",
    "status_count_per_user",
    "unique_users",
    "upstream_latency",
    "status_count_per_workspace",
    "status_count_per_user_per_route",
    "shdict_usage",
)
_DEFAULT_TYPES = {
    "request_count": "counter",
    "latency": "timer",
    "request_size": "counter",
    "status_count": "counter",
    "response_size": "counter",
    "unique_users": "set",
    "request_per_user": "counter",
    "upstream_latency": "timer",
    "kong_latency": "timer",
    "status_count_per_user": "counter",
    "status_count_per_workspace": "counter",
    "status_count_per_user_per_route": "counter",
    "shdict_usage": "gauge",
}
_CONSUMER = ("consumer_id", "custom_id", "username")
_SERVICE = ("service_id", "service_name", "service_host", "service_name_or_host")
_WORKSPACE = ("workspace_id", "workspace_name")


def _default_metric(name: str, stat_type: str) -> dict[str, Any]:
    sampled = {"sample_rate": 1} if stat_type in ("counter", "gauge") else {}
    return {"name": name, "stat_type": stat_type, **sampled}


def _identifier(options: tuple[str, ...], default: str) -> Field:
    return Field(
        "string", "For metrics that name none.", required=True, default=default, one_of=options
    )


_METRIC = Field(
    "record",
    fields={
        "name": Field("string", "What is measured.", required=True, one_of=_METRICS),
        "stat_type": Field(
            "string",
            "Kind of metric.",
            required=True,
            one_of=("counter", "gauge", "histogram", "meter", "set", "timer"),
        ),
        "sample_rate": Field("number", "Share of requests that are measured.", gt=0),
        "consumer_identifier": Field("string", "What names the consumer.", one_of=_CONSUMER),
        "service_identifier": Field("string", "What names the service.", one_of=_SERVICE),
        "workspace_identifier": Field("string", "What names the workspace.", one_of=_WORKSPACE),
    },
    checks=(
        Conditional(
            "stat_type", Match(one_of=("counter", "gauge")), "sample_rate", Match(required=True)
        ),
    ),
)

PLUGIN = PluginSchema(
    name="statsd",
    priority=11,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "host": having(HOST, description="Where metrics go.", default="localhost"),
            "port": having(PORT, description="Where metrics go.", default=8125),
            "prefix": Field("string", "Begins each metric's name.", default="kong"),
            "metrics": Field(
                "array",
                "What is measured.",
                default=[_default_metric(*item) for item in _DEFAULT_TYPES.items()],
                elements=_METRIC,
            ),
            "allow_status_codes": Field(
                "array",
                "Ranges of statuses, such as 200-205, that are measured.",
                elements=Field(
                    "string",
                    match=Pattern(
                        re.compile(r"\A[0-9]+-[0-9]+\Z"), "^[0-9]+-[0-9]+$", "invalid value: "
                    ),
                ),
            ),
            "udp_packet_size": Field(
                "number", "Bytes up to which metrics share a packet.", default=0, between=(0, 65507)
            ),
            "use_tcp": Field("boolean", "TCP in place of UDP.", default=False),
            "hostname_in_prefix": Field(
                "boolean", "Whether the prefix has the machine's name, too.", default=False
            ),
            "consumer_identifier_default": _identifier(_CONSUMER, "custom_id"),
            "service_identifier_default": _identifier(_SERVICE, "service_name_or_host"),
            "workspace_identifier_default": _identifier(_WORKSPACE, "workspace_id"),
            **old_queue_fields("statsd"),
            "tag_style": Field(
                "string",
                "How tags are written; null: none.",
                one_of=("dogstatsd", "influxdb", "librato", "signalfx"),
            ),
            "queue": QUEUE,
        }
    ),
)
