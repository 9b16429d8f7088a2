"""grpc-web: browsers' gRPC-Web in front, gRPC behind."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config

PLUGIN = PluginSchema(
    name="grpc-web",
    priority=3,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "proto": Field("string", "File that describes services; needed for JSON bodies."),
            "pass_stripped_path": Field("boolean", "Whether the upstream gets the stripped path."),
            "allow_origin_header": Field("string", "Access-Control-Allow-Origin.", default="*"),
        }
    ),
)
