"""bot-detection: refuses clients by their User-Agent."""

from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import REGEX

PLUGIN = PluginSchema(
    name="bot-detection",
    priority=2500,
    scopes=NO_CONSUMER,
    config=config(
        {
            "allow": Field(
                "array", "Expressions of agents that may pass.", default=[], elements=REGEX
            ),
            "deny": Field(
                "array",
                "Expressions of agents to refuse, beside the well-known ones.",
                default=[],
                elements=REGEX,
            ),
        }
    ),
)
