"""request-transformer: changes to a request before the upstream sees it.

Values may hold templates, ``$(headers.name)``; they are taken as they are.
"""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.transformations import (
    HEADER_PAIRS,
    HEADERS,
    NAMES,
    RENAMED_HEADERS,
    VALUES,
)
from store.schema.typedefs import METHODS, having

_SET = {"body": VALUES, "headers": HEADER_PAIRS, "querystring": VALUES}
_METHOD = METHODS.elements
assert _METHOD is not None

PLUGIN = PluginSchema(
    name="request-transformer",
    priority=801,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "http_method": having(_METHOD, description="Method towards the upstream."),
            "remove": config(
                {"body": NAMES, "headers": HEADERS, "querystring": NAMES},
                description="Names to take out.",
            ),
            "rename": config(
                {"body": VALUES, "headers": RENAMED_HEADERS, "querystring": VALUES},
                description="Old name and new name.",
            ),
            "replace": config(
                {**_SET, "uri": Field("string", "Path to the upstream.")},
                description="New values of what is there.",
            ),
            "add": config(_SET, description="Values of what isn't there."),
            "append": config(_SET, description="Further values."),
        }
    ),
)
