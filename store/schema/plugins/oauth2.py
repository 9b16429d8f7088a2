"""oauth2: an OAuth 2.0 authorization server."""

from collections.abc import Mapping
from typing import Any

from store.schema.checks import Conditional, Match
from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import ANONYMOUS, HIDE_CREDENTIALS, REALM, STRINGS
from store.schema.typedefs import having

_FLOWS = (
    "enable_authorization_code",
    "enable_implicit_grant",
    "enable_client_credentials",
    "enable_password_grant",
)
_TTL_MAX = 10**8
"""Kong's bound of times to live, in seconds."""


def _flows_error(settings: Mapping[str, Any]) -> str | None:
    if any(settings.get(flow) for flow in _FLOWS):
        return None
    return f"at least one of these fields must be true: {', '.join(_FLOWS)}"


def _flag(description: str) -> Field:
    return Field("boolean", description, required=True, default=False)


PLUGIN = PluginSchema(
    name="oauth2",
    priority=1400,
    scopes=NO_CONSUMER,
    config=config(
        {
            "scopes": having(STRINGS, description="Scopes that clients may ask for."),
            "mandatory_scope": _flag("Whether a scope must be asked for."),
            "provision_key": Field(
                "string",
                "What the login page shows to the endpoints; drawn when it isn't given.",
                required=True,
                auto=True,
                unique=True,
                encrypted=True,
            ),
            "token_expiration": Field(
                "number", "Life of an access token, in seconds.", required=True, default=7200
            ),
            "enable_authorization_code": _flag("Authorization Code Grant."),
            "enable_implicit_grant": _flag("Implicit Grant."),
            "enable_client_credentials": _flag("Client Credentials Grant."),
            "enable_password_grant": _flag("Resource Owner Password Credentials Grant."),
            "hide_credentials": HIDE_CREDENTIALS,
            "accept_http_if_already_terminated": _flag(
                "Accept requests whose TLS a proxy in front has ended."
            ),
            "anonymous": ANONYMOUS,
            "global_credentials": _flag("Whether tokens hold for every such plugin."),
            "auth_header_name": Field(
                "string", "Header that holds the token.", default="authorization"
            ),
            "refresh_token_ttl": Field(
                "number",
                "Life of a refresh token, in seconds; 0: no end.",
                required=True,
                default=1209600,
                between=(0, _TTL_MAX),
            ),
            "reuse_refresh_token": _flag("Whether refreshing keeps the refresh token."),
            "pkce": Field(
                "string",
                "Whether clients prove by PKCE who began.",
                default="lax",
                one_of=("none", "lax", "strict"),
            ),
            "realm": REALM,
        },
        check=_flows_error,
        checks=(Conditional("mandatory_scope", Match(eq=True), "scopes", Match(required=True)),),
    ),
)
