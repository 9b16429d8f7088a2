"""response-transformer: changes to a response before the client sees it."""

from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config
from store.schema.plugins.transformations import HEADER_PAIRS, NAMES, PAIRS, RENAMED_HEADERS

_SET = {
    "json": PAIRS,
    "json_types": Field(
        "array",
        "JSON types of the values, in their order.",
        required=True,
        default=[],
        elements=Field("string", one_of=("boolean", "number", "string")),
    ),
    "headers": HEADER_PAIRS,
}

PLUGIN = PluginSchema(
    name="response-transformer",
    priority=800,
    config=config(
        {
            "remove": config({"json": NAMES, "headers": NAMES}, description="Names to take out."),
            "rename": config(
                {"json": PAIRS, "headers": RENAMED_HEADERS}, description="Old name and new name."
            ),
            "replace": config(_SET, description="New values of what is there."),
            "add": config(_SET, description="Values of what isn't there."),
            "append": config(_SET, description="Further values."),
        }
    ),
)
