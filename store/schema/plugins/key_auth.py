"""key-auth: clients show a key in a header, in the query or in the body."""

from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import ANONYMOUS, HEADER_NAME, HIDE_CREDENTIALS, REALM

PLUGIN = PluginSchema(
    name="key-auth",
    priority=1250,
    scopes=NO_CONSUMER,
    config=config(
        {
            "key_names": Field(
                "array",
                "Names of the header, query argument or body field that holds the key.",
                required=True,
                default=["apikey"],
                elements=HEADER_NAME,
            ),
            "hide_credentials": HIDE_CREDENTIALS,
            "anonymous": ANONYMOUS,
            "key_in_header": Field("boolean", "Look at headers.", required=True, default=True),
            "key_in_query": Field("boolean", "Look at the query.", required=True, default=True),
            "key_in_body": Field("boolean", "Look at the body.", required=True, default=False),
            "run_on_preflight": Field(
                "boolean", "Whether OPTIONS requests need a key, too.", required=True, default=True
            ),
            "realm": REALM,
        }
    ),
)
