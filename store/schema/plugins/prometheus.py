"""prometheus: metrics for Prometheus to read."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config


def _flag(description: str) -> Field:
    return Field("boolean", description, default=False)


PLUGIN = PluginSchema(
    name="prometheus",
    priority=13,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "per_consumer": _flag("Metrics by consumer."),
            "status_code_metrics": _flag("Metrics by status."),
            "ai_metrics": _flag("Metrics of language models."),
            "latency_metrics": _flag("Metrics of latency."),
            "bandwidth_metrics": _flag("Metrics of bandwidth."),
            "upstream_health_metrics": _flag("Metrics of targets' health."),
            "wasm_metrics": _flag("Metrics of Wasm filters."),
        }
    ),
)
