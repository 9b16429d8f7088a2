"""basic-auth: username and password in the Authorization header."""

from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import ANONYMOUS, HIDE_CREDENTIALS, REALM
from store.schema.typedefs import having

PLUGIN = PluginSchema(
    name="basic-auth",
    priority=1100,
    scopes=NO_CONSUMER,
    config=config(
        {
            "anonymous": ANONYMOUS,
            "hide_credentials": HIDE_CREDENTIALS,
            "realm": having(REALM, required=True, default="service"),
        }
    ),
)
