"""grpc-gateway: REST in front, gRPC behind."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.typedefs import STRINGS
from store.schema.typedefs import having

PLUGIN = PluginSchema(
    name="grpc-gateway",
    priority=998,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "proto": Field("string", "File that describes services and methods.", required=True),
            "additional_protos": having(STRINGS, description="Further such files."),
            "use_proto_names": Field(
                "boolean", "Whether JSON has the file's spelling of names.", default=False
            ),
            "enum_as_name": Field("boolean", "Whether JSON has enums by name.", default=True),
            "emit_defaults": Field("boolean", "Whether JSON has unset fields.", default=False),
        }
    ),
)
