"""References to vaults in a plugin's configuration, put in place of by what they refer to."""

from typing import Any

from node.plugins.interface import PluginRefused
from store.schema.values import is_reference


def resolved(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration to work with. Raises PluginRefused for what can't be resolved."""
    found = next(_references(config), None)
    if found is not None:
        raise PluginRefused(f"{found}: references to vaults can't be resolved yet")
    return config


def _references(value: Any) -> Any:
    if isinstance(value, str):
        if is_reference(value):
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
