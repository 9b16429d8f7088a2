"""key-auth: clients show a key in a header, in the query or in the body."""

from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema

PLUGIN = PluginSchema(
    name="key-auth",
    priority=1250,
    scopes=NO_CONSUMER,
    config=Field(
        "record",
        required=True,
        fields={
            "key_names": Field(
                "array",
                "Names of the header, query argument or body field that hold the key.",
                required=True,
                default=["apikey"],
                elements=Field("string"),
            ),
            "hide_credentials": Field(
                "boolean", "Keep the key from the upstream.", required=True, default=False
            ),
        },
    ),
)
