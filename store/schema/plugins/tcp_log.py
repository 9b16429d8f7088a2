"""tcp-log: log entries over TCP."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.typedefs import LUA_CODE
from store.schema.typedefs import HOST, PORT, having

PLUGIN = PluginSchema(
    name="tcp-log",
    priority=7,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "host": having(HOST, description="Where entries go.", required=True),
            "port": having(PORT, description="Where entries go.", required=True),
            "timeout": Field("number", "Milliseconds to send.", default=10000),
            "keepalive": Field(
                "number", "Milliseconds for which an idle connection is kept.", default=60000
            ),
            "tls": Field("boolean", "Whether to use TLS.", required=True, default=False),
            "tls_sni": Field("string", "Name that TLS asks for."),
            "custom_fields_by_lua": LUA_CODE,
        }
    ),
)
