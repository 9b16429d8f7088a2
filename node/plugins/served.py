"""What a plugin here can't do of a valid configuration, as a rule of the Admin API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.plugins import registry
from node.plugins.interface import Plugin
from store.schema.checks import EntityCheck
from store.schema.violations import ENTITY, FieldErrors


@dataclass(frozen=True, slots=True)
class _Served:
    """Whether the plugin itself takes a configuration."""

    plugin: type[Plugin]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        config = entity.get("config")
        if errors or not isinstance(config, Mapping):
            return  # it would be asked about what isn't even valid
        problem = self.plugin.problem(config)
        if problem is not None:
            errors.setdefault(ENTITY, []).append(problem)

    def describe(self) -> dict[str, Any]:
        return {"served": {"by": self.plugin.name}}


def served_rules(chosen: Sequence[str]) -> dict[str, tuple[EntityCheck, ...]]:
    """For each plugin that the key ``plugins`` enables."""
    classes, _ = registry.classes(chosen)
    return {name: (_Served(plugin),) for name, plugin in classes.items()}
