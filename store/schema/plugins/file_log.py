"""file-log: log entries into a file."""

import re

from store.schema.field import Field, Pattern
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.typedefs import LUA_CODE

PLUGIN = PluginSchema(
    name="file-log",
    priority=9,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "path": Field(
                "string",
                "The file; it is made when it isn't there.",
                required=True,
                match=Pattern(re.compile(r"\A[^*&%\\`]+\Z"), r"^[^*&%%\`]+$", ""),
                error="not a valid filename",
            ),
            "reopen": Field(
                "boolean", "Whether it is opened anew each time.", required=True, default=False
            ),
            "custom_fields_by_lua": LUA_CODE,
        }
    ),
)
