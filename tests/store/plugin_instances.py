"""Plugin entities as the store validates them: the fields that all share, and the plugin's own."""

from collections.abc import Mapping
from typing import Any

from store.errors import EntityError
from store.schema import Schema
from store.schema.completion import shown
from store.schema.field import Field
from store.schema.plugins import PluginSchema, plugin_schema
from store.schema.typedefs import UUID


def known(name: str) -> PluginSchema:
    """The schema of a plugin that is there."""
    plugin = plugin_schema(name)
    assert plugin is not None
    return plugin


def entity_schema(name: str) -> Schema:
    """The schema of the instances of one plugin."""
    plugin = known(name)
    scopes = {scope: Field("foreign", reference=f"{scope}s") for scope in sorted(plugin.scopes)}
    return Schema(
        kind="plugins",
        entity_name="plugin",
        endpoint_key=None,
        fields={"id": UUID, **scopes, **plugin.fields},
        checks=plugin.checks,
    )


def validated(name: str, config: Any, **fields: Any) -> dict[str, Any]:
    """The instance that a POST of this configuration makes. Raises EntityError."""
    return entity_schema(name).validate_new({"config": config, **fields}, 1.0)


def config_of(name: str, config: Any) -> Any:
    """The whole configuration, valid."""
    return validated(name, config)["config"]


def shown_config(name: str, config: Any) -> Any:
    """The configuration as an answer shows it."""
    return shown(known(name).config, config_of(name, config))


def refusal(name: str, config: Any, **fields: Any) -> EntityError:
    """What is said of a configuration that isn't valid."""
    try:
        entity = validated(name, config, **fields)
    except EntityError as error:
        return error
    raise AssertionError(f"{name} takes {config}: {entity}")


def complaints(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The field errors of a configuration that isn't valid."""
    return refusal(name, config).fields
