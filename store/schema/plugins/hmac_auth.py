"""hmac-auth: requests signed with a shared secret."""

from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import ANONYMOUS, HIDE_CREDENTIALS, REALM

_ALGORITHMS = ("hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512")

PLUGIN = PluginSchema(
    name="hmac-auth",
    priority=1030,
    scopes=NO_CONSUMER,
    config=config(
        {
            "hide_credentials": HIDE_CREDENTIALS,
            "clock_skew": Field(
                "number", "Seconds that the request's date may be off.", default=300, gt=0
            ),
            "anonymous": ANONYMOUS,
            "validate_request_body": Field(
                "boolean", "Whether the body's digest is checked.", required=True, default=False
            ),
            "enforce_headers": Field(
                "array",
                "Headers that a signature must cover.",
                default=[],
                elements=Field("string"),
            ),
            "algorithms": Field(
                "array",
                "Digests that are accepted.",
                default=list(_ALGORITHMS),
                elements=Field("string", one_of=_ALGORITHMS),
            ),
            "realm": REALM,
        }
    ),
)
