"""jwt: signed JSON Web Tokens."""

from store.schema.checks import Conditional, Match
from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import ANONYMOUS, REALM

_STRING = Field("string")

PLUGIN = PluginSchema(
    name="jwt",
    priority=1450,
    scopes=NO_CONSUMER,
    config=config(
        {
            "uri_param_names": Field(
                "set", "Query arguments that may hold the token.", default=["jwt"], elements=_STRING
            ),
            "cookie_names": Field(
                "set", "Cookies that may hold the token.", default=[], elements=_STRING
            ),
            "key_claim_name": Field(
                "string", "The claim that names the credential.", default="iss"
            ),
            "secret_is_base64": Field(
                "boolean", "Whether secrets are in base64.", required=True, default=False
            ),
            "claims_to_verify": Field(
                "set",
                "Registered claims that are checked.",
                elements=Field("string", one_of=("exp", "nbf")),
            ),
            "anonymous": ANONYMOUS,
            "run_on_preflight": Field(
                "boolean",
                "Whether OPTIONS requests need a token, too.",
                required=True,
                default=True,
            ),
            "maximum_expiration": Field(
                "number",
                "Longest life of a token, in seconds; 0: no bound.",
                default=0,
                between=(0, 31536000),
            ),
            "header_names": Field(
                "set",
                "Headers that may hold the token.",
                default=["authorization"],
                elements=_STRING,
            ),
            "realm": REALM,
        }
    ),
    checks=(
        Conditional(
            "config.maximum_expiration",
            Match(gt=0),
            "config.claims_to_verify",
            Match(contains="exp"),
        ),
    ),
)
