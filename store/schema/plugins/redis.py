"""How a plugin reaches Redis (``kong/tools/redis/schema.lua``), and older names of its parts."""

from dataclasses import replace

from store.schema.field import Deprecation, Field, Shorthand
from store.schema.plugins.plugin import config
from store.schema.plugins.typedefs import MILLISECONDS, SNI
from store.schema.typedefs import HOST, PORT, having

REDIS = config(
    {
        "host": having(HOST, description="Name or address of the server."),
        "port": having(PORT, description="Port of the server.", default=6379),
        "timeout": having(MILLISECONDS, description="Milliseconds.", default=2000),
        "username": Field("string", "For Redis 6 and later.", referenceable=True),
        "password": Field("string", "Password.", referenceable=True, encrypted=True, len_min=0),
        "database": Field("integer", "Number of the database.", default=0),
        "ssl": Field("boolean", "Whether to use TLS.", default=False),
        "ssl_verify": Field(
            "boolean", "Whether to verify the server's certificate.", default=False
        ),
        "server_name": having(SNI, description="Name that TLS asks for."),
    },
    description="How to reach Redis.",
)

_OLD_FIELDS = {
    "host": Field("string"),
    "port": Field("integer"),
    "password": Field("string", len_min=0),
    "username": Field("string"),
    "ssl": Field("boolean"),
    "ssl_verify": Field("boolean"),
    "server_name": Field("string"),
    "timeout": Field("integer"),
    "database": Field("integer"),
}


def renamed(plugin: str, old: str, path: tuple[str, ...], field: Field, place: str) -> Shorthand:
    """A setting under its older name; ``place`` is the record that both names are in."""
    new = ".".join(path)
    deprecation = Deprecation(
        f"{plugin}: {place}.{old} is deprecated, please use {place}.{new} instead",
        replaced_with=(path,),
    )
    return Shorthand(replace(field, deprecation=deprecation), path)


def old_redis_names(plugin: str) -> dict[str, Shorthand]:
    """``redis_host`` and so on, as they were before Kong 3.6."""
    return {
        f"redis_{name}": renamed(plugin, f"redis_{name}", ("redis", name), field, "config")
        for name, field in _OLD_FIELDS.items()
    }
