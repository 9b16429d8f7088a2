"""Plugins as entities: which plugin runs where, with which configuration.

After ``entities/plugins.lua`` and ``dao/plugins.lua``. What each plugin's configuration is made of,
``store.schema.plugins`` says.
"""

from collections.abc import Collection, Iterator, Mapping

from store.schema.checks import EntityCheck
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.parts import Agreement, Subschema
from store.schema.plugins import plugin_names, plugin_schema
from store.schema.plugins.plugin import HTTP_PROTOCOLS
from store.schema.typedefs import CREATED_AT, PROTOCOL, TAGS, UPDATED_AT, UTF8_NAME, UUID, having


def _scope(kind: str, description: str) -> Field:
    return Field("foreign", description, default=None, reference=kind, on_delete="cascade")


_SCOPES = {
    "route": _scope("routes", "The route that it runs for."),
    "service": _scope("services", "The service that it runs for."),
    "consumer": _scope("consumers", "The consumer that it runs for."),
}


class PluginSubschemas(Mapping[str, Subschema]):
    """What is special to each plugin, made when it is first asked for."""

    def __init__(
        self,
        available: Collection[str] | None = None,
        more: Mapping[str, tuple[EntityCheck, ...]] | None = None,
    ) -> None:
        """``available``: the plugins that may be configured; None for all that are declared.
        ``more``: further rules by plugin, of who runs them."""
        self._available = None if available is None else tuple(available)
        self._more = more or {}
        self._made: dict[str, Subschema] = {}

    def __getitem__(self, name: str) -> Subschema:
        if name not in self._made:
            plugin = plugin_schema(name) if name in self else None
            if plugin is None:
                raise KeyError(name)
            checks = (*plugin.checks, *self._more.get(name, ()))
            self._made[name] = Subschema(plugin.fields, checks)
        return self._made[name]

    def _names(self) -> tuple[str, ...]:
        return plugin_names() if self._available is None else self._available

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())


def unknown_plugin(name: str) -> str:
    """What to say of a plugin that may not be configured."""
    return f"plugin '{name}' not enabled; add it to the 'plugins' configuration property"


PLUGINS = Schema(
    kind="plugins",
    entity_name="plugin",
    endpoint_key="instance_name",
    subschema_key="name",
    subschemas=PluginSubschemas(),
    unknown_subschema=unknown_plugin,
    fields={
        "id": UUID,
        "name": Field("string", "Which plugin.", required=True),
        "instance_name": having(UTF8_NAME, description="A unique name of this instance of it."),
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        **_SCOPES,
        "config": Field("record", "The plugin's settings.", abstract=True),
        "protocols": Field(
            "set",
            "Protocols of the requests that it runs for.",
            required=True,
            default=list(HTTP_PROTOCOLS),
            elements=PROTOCOL,
        ),
        "enabled": Field("boolean", "Whether it runs.", required=True, default=True),
        "tags": TAGS,
    },
    unique_together=(("name", "route", "service", "consumer"),),
    agreements=(
        Agreement("protocols", "route", "must match the associated route's protocols"),
        Agreement(
            "protocols",
            "service",
            "must match the protocols of at least one route pointing to this Plugin's service",
            through=("routes", "service"),
        ),
    ),
)
"""All declared plugins may be configured; a node hands in which of them it runs."""
