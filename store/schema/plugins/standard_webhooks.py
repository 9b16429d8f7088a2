"""standard-webhooks: checks signatures of the Standard Webhooks specification."""

from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config

PLUGIN = PluginSchema(
    name="standard-webhooks",
    priority=760,
    scopes=NO_CONSUMER,
    config=config(
        {
            "secret_v1": Field(
                "string", "The shared secret.", required=True, referenceable=True, encrypted=True
            ),
            "tolerance_second": Field(
                "integer",
                "Seconds that a message may be old.",
                required=True,
                default=300,
                gt=-1,
            ),
        }
    ),
)
