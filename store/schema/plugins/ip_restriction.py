"""ip-restriction: which addresses may connect."""

from store.schema.checks import AtLeastOneOf
from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.typedefs import IP_OR_CIDR

PLUGIN = PluginSchema(
    name="ip-restriction",
    priority=990,
    protocols=ALL_PROTOCOLS,
    protocols_default=("http", "https", "tcp", "tls", "grpc", "grpcs"),
    config=config(
        {
            "allow": Field(
                "array", "Addresses and networks that may, and no others.", elements=IP_OR_CIDR
            ),
            "deny": Field("array", "Addresses and networks that may not.", elements=IP_OR_CIDR),
            "status": Field("number", "Status of a refusal."),
            "message": Field("string", "Text of a refusal."),
        }
    ),
    checks=(AtLeastOneOf(("config.allow", "config.deny")),),
)
