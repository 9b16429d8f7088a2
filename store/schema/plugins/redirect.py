"""redirect: an answer that sends clients elsewhere."""

from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config
from store.schema.plugins.typedefs import URL
from store.schema.typedefs import having

PLUGIN = PluginSchema(
    name="redirect",
    priority=779,
    config=config(
        {
            "status_code": Field(
                "integer", "Status of the answer.", required=True, default=301, between=(100, 599)
            ),
            "location": having(URL, description="Where to go.", required=True),
            "keep_incoming_path": Field(
                "boolean", "Whether the request's path and query go along.", default=False
            ),
        }
    ),
)
