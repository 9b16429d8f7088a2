"""ldap-auth: username and password, checked by an LDAP server."""

from store.schema.checks import Conditional, Match
from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import ANONYMOUS, HIDE_CREDENTIALS, REALM
from store.schema.typedefs import HOST, PORT, having

PLUGIN = PluginSchema(
    name="ldap-auth",
    priority=1200,
    scopes=NO_CONSUMER,
    config=config(
        {
            "ldap_host": having(HOST, description="Name or address.", required=True),
            "ldap_port": having(PORT, description="Port.", required=True, default=389),
            "ldaps": Field(
                "boolean", "TLS from the start, on port 636.", required=True, default=False
            ),
            "start_tls": Field(
                "boolean", "TLS by StartTLS after connecting.", required=True, default=False
            ),
            "verify_ldap_host": Field(
                "boolean",
                "Whether to verify the server's certificate.",
                required=True,
                default=False,
            ),
            "base_dn": Field("string", "Where the search begins.", required=True),
            "attribute": Field("string", "Attribute that holds the username.", required=True),
            "cache_ttl": Field(
                "number",
                "Seconds for which an answer is remembered.",
                required=True,
                default=60,
            ),
            "hide_credentials": HIDE_CREDENTIALS,
            "timeout": Field("number", "Milliseconds to connect.", default=10000),
            "keepalive": Field(
                "number", "Milliseconds for which an idle connection is kept.", default=60000
            ),
            "anonymous": ANONYMOUS,
            "header_type": Field("string", "Scheme in the Authorization header.", default="ldap"),
            "realm": REALM,
        },
        checks=(
            Conditional(
                "ldaps",
                Match(eq=True),
                "start_tls",
                Match(eq=False),
                "'ldaps' and 'start_tls' cannot be enabled simultaneously",
            ),
        ),
    ),
)
