"""azure-functions: an Azure function in place of an upstream."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config

PLUGIN = PluginSchema(
    name="azure-functions",
    priority=749,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "timeout": Field("number", "Milliseconds.", default=600000),
            "keepalive": Field(
                "number", "Milliseconds for which an idle connection is kept.", default=60000
            ),
            "https": Field("boolean", "Whether to use TLS.", default=True),
            "https_verify": Field(
                "boolean", "Whether to verify the server's certificate.", default=False
            ),
            "apikey": Field(
                "string", "Sent as x-functions-key.", encrypted=True, referenceable=True
            ),
            "clientid": Field(
                "string", "Sent as x-functions-clientid.", encrypted=True, referenceable=True
            ),
            "appname": Field("string", "Name of the application.", required=True),
            "hostdomain": Field(
                "string", "Domain that it is under.", required=True, default="azurewebsites.net"
            ),
            "routeprefix": Field("string", "Begins the path.", default="api"),
            "functionname": Field("string", "Name of the function.", required=True),
        }
    ),
)
