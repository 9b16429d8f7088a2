"""correlation-id: a request's id in a header."""

from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config

PLUGIN = PluginSchema(
    name="correlation-id",
    priority=100001,
    config=config(
        {
            "header_name": Field("string", "The header.", default="Kong-Request-ID"),
            "generator": Field(
                "string",
                "How an id is made.",
                required=True,
                default="uuid#counter",
                one_of=("uuid", "uuid#counter", "tracker"),
            ),
            "echo_downstream": Field(
                "boolean", "Whether the client gets it, too.", required=True, default=False
            ),
        }
    ),
)
