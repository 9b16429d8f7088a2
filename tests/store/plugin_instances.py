"""Plugin entities as the store validates them."""

from collections.abc import Mapping
from typing import Any

from store.errors import EntityError
from store.schema import schema
from store.schema.plugins import PluginSchema, plugin_schema

PLUGINS = schema("plugins")


def known(name: str) -> PluginSchema:
    """The schema of a plugin that is there."""
    plugin = plugin_schema(name)
    assert plugin is not None
    return plugin


def validated(name: str, config: Any, **fields: Any) -> dict[str, Any]:
    """The instance that a POST of this configuration makes. Raises EntityError."""
    return PLUGINS.validate_new({"name": name, "config": config, **fields}, 1.0)


def config_of(name: str, config: Any) -> Any:
    """The whole configuration, valid."""
    return validated(name, config)["config"]


def shown_config(name: str, config: Any) -> Any:
    """The configuration as an answer shows it."""
    return PLUGINS.show(validated(name, config), 1.0)["config"]


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
