"""request-size-limiting: how large a body may be."""

from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config

PLUGIN = PluginSchema(
    name="request-size-limiting",
    priority=951,
    config=config(
        {
            "allowed_payload_size": Field("integer", "Largest body, in units.", default=128),
            "size_unit": Field(
                "string",
                "The unit.",
                required=True,
                default="megabytes",
                one_of=("megabytes", "kilobytes", "bytes"),
            ),
            "require_content_length": Field(
                "boolean", "Refuse bodies of unknown length.", required=True, default=False
            ),
        }
    ),
)
