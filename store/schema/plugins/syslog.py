"""syslog: log entries to the machine's syslog."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.typedefs import LUA_CODE, SEVERITY
from store.schema.typedefs import having


def _severity(description: str) -> Field:
    return having(SEVERITY, description=description, required=True)


PLUGIN = PluginSchema(
    name="syslog",
    priority=4,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "log_level": _severity("Lowest severity that is logged."),
            "successful_severity": _severity("Severity of statuses below 400."),
            "client_errors_severity": _severity("Severity of 400 to 499."),
            "server_errors_severity": _severity("Severity of 500 and above."),
            "custom_fields_by_lua": LUA_CODE,
            "facility": Field(
                "string",
                "Syslog facility.",
                required=True,
                default="user",
                one_of=(
                    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail"),
                    *("news", "syslog", "user", "uucp"),
                    *(f"local{number}" for number in range(8)),
                ),
            ),
        }
    ),
)
