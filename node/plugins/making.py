"""Plugins made of their configurations."""

from collections.abc import Mapping
from typing import Any

from node.plugins.chain import Configured, Rank
from node.plugins.context import Context
from node.plugins.interface import Bound, Plugin, PluginRefused, Worker
from store.schema.field import Field
from store.schema.plugins import plugin_schema

_FIRST = float("inf")


class Unusable(Plugin):
    """Stands for a plugin that can't be run: whatever it was to guard stays shut."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def access(self, context: Context) -> None:
        context.error(500, "An unexpected error occurred")


class Maker:
    """Makes plugins of these classes, by name, for one worker."""

    def __init__(self, classes: Mapping[str, type[Plugin]], worker: Worker | None) -> None:
        self._classes = classes
        self._worker = worker

    def rank(self, name: str) -> Rank:
        """Where a plugin runs; one that nobody knows, before all others."""
        known = self._classes.get(name)
        if known is not None:
            return known.priority, name
        schema = plugin_schema(name)
        return (_FIRST if schema is None else schema.priority), name

    def config_fields(self, name: str) -> Mapping[str, Field] | None:
        """What a plugin's configuration may say; None for one that nobody knows."""
        known = self._classes.get(name)
        schema = plugin_schema(name) if known is None else known.schema
        return None if schema is None else schema.config.fields

    def make(self, name: str, bound: Bound, config: Mapping[str, Any]) -> Configured:
        """Make one; with a ``problem`` in place of it when that can't be done."""
        known = self._classes.get(name)
        problem = "it isn't installed or not enabled on this node"
        if known is not None and self._worker is not None:
            try:
                plugin = known(config, bound, self._worker)
                return Configured(name, self.rank(name), plugin)
            except PluginRefused as error:
                problem = str(error)
            except Exception as error:  # whatever a plugin's author didn't think of
                problem = f"it can't be made of its configuration: {error!r}"
        return Configured(name, self.rank(name), Unusable(problem), problem)


NO_PLUGINS = Maker({}, None)
"""For a table that only routes: every plugin is unusable."""
