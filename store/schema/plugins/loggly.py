"""loggly: log entries to Loggly."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.typedefs import LUA_CODE, SEVERITY
from store.schema.typedefs import HOST, PORT, having

PLUGIN = PluginSchema(
    name="loggly",
    priority=6,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "host": having(HOST, description="Where entries go.", default="logs-01.loggly.com"),
            "port": having(PORT, description="Where entries go.", default=514),
            "key": Field(
                "string",
                "Loggly's customer token.",
                required=True,
                encrypted=True,
                referenceable=True,
            ),
            "tags": Field(
                "set", "Tags of the entries.", default=["kong"], elements=Field("string")
            ),
            "log_level": having(SEVERITY, description="Lowest severity that is logged."),
            "successful_severity": having(SEVERITY, description="Of statuses below 400."),
            "client_errors_severity": having(SEVERITY, description="Of 400 to 499."),
            "server_errors_severity": having(SEVERITY, description="Of 500 and above."),
            "timeout": Field("number", "Milliseconds to send.", default=10000),
            "custom_fields_by_lua": LUA_CODE,
        }
    ),
)
