"""udp-log: log entries over UDP."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.typedefs import LUA_CODE
from store.schema.typedefs import HOST, PORT, having

PLUGIN = PluginSchema(
    name="udp-log",
    priority=8,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "host": having(HOST, description="Where entries go.", required=True),
            "port": having(PORT, description="Where entries go.", required=True),
            "timeout": Field("number", "Milliseconds to send.", default=10000),
            "custom_fields_by_lua": LUA_CODE,
        }
    ),
)
