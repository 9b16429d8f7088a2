"""acme: certificates from Let's Encrypt and the like."""

import re

from store.schema.checks import Conditional, Match
from store.schema.field import Field, Pattern
from store.schema.plugins.plugin import GLOBAL_ONLY, PluginSchema, config
from store.schema.plugins.redis import REDIS, renamed
from store.schema.plugins.typedefs import URL
from store.schema.typedefs import HOST, HOSTS, PORT, having

_RESERVED = (
    "kong_acme:renew_config:",
    "kong_acme:renew_last_run",
    "kong_acme:cert_key:",
)
_REDIS_PLACE = "config.storage_config.redis"


def _namespace_error(namespace: str) -> str | None:
    for word in _RESERVED:
        if namespace.startswith(word):
            return f"namespace can't be prefixed with reserved word: {word}"
    return None


def _secret(description: str, *, required: bool = False, match: Pattern | None = None) -> Field:
    return Field(
        "string",
        description,
        required=required,
        encrypted=True,
        referenceable=True,
        match=match,
    )


def _remote(token_of: str) -> dict[str, Field]:
    return {
        "https": Field("boolean", "Whether to use TLS.", default=False),
        "host": having(HOST, description="Name or address of the server."),
        "port": having(PORT, description="Its port."),
        "kv_path": Field("string", "Prefix of the paths."),
        "timeout": Field("number", "Milliseconds."),
        "token": Field("string", f"Token of {token_of}.", referenceable=True),
    }


assert REDIS.fields is not None
_EXTRA_OPTIONS = config(
    {
        "namespace": Field(
            "string",
            "Begins every key.",
            required=True,
            default="",
            len_min=0,
            check=_namespace_error,
        ),
        "scan_count": Field("number", "Keys asked for at a time.", default=10),
    },
    description="Of this plugin alone.",
)
_STORAGE = config(
    {
        "shm": config(
            {"shm_name": Field("string", "Taken, and of no effect.", default="kong")},
            description="Memory of the node.",
        ),
        "kong": config({}, description="The database."),
        "redis": config(
            {**REDIS.fields, "extra_options": _EXTRA_OPTIONS},
            shorthands={
                old: renamed("acme", old, path, field, _REDIS_PLACE)
                for old, path, field in (
                    ("auth", ("password",), Field("string", len_min=0)),
                    ("ssl_server_name", ("server_name",), Field("string")),
                    ("namespace", ("extra_options", "namespace"), Field("string", len_min=0)),
                    ("scan_count", ("extra_options", "scan_count"), Field("number")),
                )
            },
            description="Redis.",
        ),
        "consul": config(_remote("Consul"), description="Consul."),
        "vault": config(
            {
                **_remote("Vault"),
                "tls_verify": Field(
                    "boolean", "Whether to verify the server's certificate.", default=True
                ),
                "tls_server_name": Field("string", "Name that TLS asks for."),
                "auth_method": Field(
                    "string", "How to log in.", default="token", one_of=("token", "kubernetes")
                ),
                "auth_path": Field("string", "Where to log in."),
                "auth_role": Field("string", "As whom to log in."),
                "jwt_path": Field("string", "File of the token that Kubernetes gave."),
            },
            description="HashiCorp Vault.",
        ),
    },
    description="How to reach the storage.",
)

PLUGIN = PluginSchema(
    name="acme",
    priority=1705,
    scopes=GLOBAL_ONLY,
    config=config(
        {
            "account_email": _secret(
                "The account.",
                required=True,
                match=Pattern(re.compile("@"), "%w*%p*@+%w*%.?%w*", "invalid value: "),
            ),
            "account_key": Field(
                "record",
                "The account's key, by a key entity.",
                fields={
                    "key_id": Field("string", "Kid of the key.", required=True),
                    "key_set": Field("string", "Name of its set."),
                },
            ),
            "api_uri": having(
                URL,
                description="Directory of the certificate authority.",
                default="https://acme-v02.api.letsencrypt.org/directory",
            ),
            "tos_accepted": Field(
                "boolean", "Whether its terms of service are accepted.", default=False
            ),
            "eab_kid": _secret("Key id of an external account binding."),
            "eab_hmac_key": _secret("Key of an external account binding, base64url."),
            "cert_type": Field("string", "Kind of key.", default="rsa", one_of=("rsa", "ecc")),
            "rsa_key_size": Field("number", "Bits.", default=4096, one_of=(2048, 3072, 4096)),
            "renew_threshold_days": Field(
                "number", "Days before its end at which a certificate is renewed.", default=14
            ),
            "domains": having(HOSTS, description="Names to get certificates for."),
            "allow_any_domain": Field("boolean", "Any name, whatever domains says.", default=False),
            "fail_backoff_minutes": Field(
                "number", "Minutes without a try after a failure.", default=5
            ),
            "storage": Field(
                "string",
                "Where certificates are kept.",
                default="shm",
                one_of=("kong", "shm", "redis", "consul", "vault"),
            ),
            "storage_config": _STORAGE,
            "preferred_chain": Field("string", "Common name of the chain's root to prefer."),
            "enable_ipv4_common_name": Field(
                "boolean", "Whether an IPv4 address may be the common name.", default=True
            ),
        }
    ),
    checks=(
        Conditional(
            "config.api_uri",
            Match(
                one_of=(
                    "https://acme-v02.api.letsencrypt.org",
                    "https://acme-staging-v02.api.letsencrypt.org",
                )
            ),
            "config.tos_accepted",
            Match(eq=True),
            "terms of service must be accepted, see https://letsencrypt.org/repository/",
        ),
        *(
            Conditional(
                "config.storage",
                Match(eq="redis"),
                f"config.storage_config.redis.{name}",
                Match(required=True),
            )
            for name in ("host", "port")
        ),
    ),
)
