"""Which plugins there are: those built here, and those that installed packages offer.

A package offers plugins as entry points of the group ``grapevine.plugins``. They are looked for
only where the key ``plugins`` names something beside Kong's own, and loaded only when named.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from node.plugins.interface import ENTRY_POINTS, Plugin, PluginRefused, check_class
from store.schema.plugins import declare

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILT = ("cors", "key-auth", "prometheus", "rate-limiting", "request-transformer")
"""Those of Kong's that run here: each has a module with a PLUGIN in node.plugins.bundled."""


@cache
def offered() -> "Mapping[str, EntryPoint]":
    """Entry points of installed packages by the name of their plugin. Of two of one name, which
    nobody should have, the first one counts."""
    from importlib.metadata import entry_points  # 3 MB, in each worker

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name, point)
    return found


@cache
def load(name: str) -> type[Plugin]:
    """The class of a plugin; its schema is declared from here on. Raises PluginRefused."""
    if name in BUILT:
        module = import_module(f"node.plugins.bundled.{name.replace('-', '_')}")
        return check_class(name, module.PLUGIN)
    point = offered().get(name)
    if point is None:
        raise PluginRefused(f"plugin '{name}' is not installed")
    try:
        found = point.load()
    except Exception as error:  # code of others
        raise PluginRefused(f"plugin '{name}': {point.value} can't be loaded: {error!r}") from error
    plugin = check_class(name, found)
    try:
        declare(plugin.schema)
    except ValueError as error:
        raise PluginRefused(f"plugin {error}") from error
    return plugin


def names(chosen: Sequence[str]) -> tuple[str, ...]:
    """The plugins that the key ``plugins`` enables here: ``bundled`` stands for BUILT."""
    expanded: list[str] = []
    for word in chosen:
        expanded += BUILT if word == "bundled" else (word,)
    runnable = (name for name in expanded if name in BUILT or name in offered())
    return tuple(dict.fromkeys(runnable))


def classes(chosen: Sequence[str]) -> tuple[dict[str, type[Plugin]], list[str]]:
    """Their classes by name; and what is wrong with those that can't be loaded."""
    loaded: dict[str, type[Plugin]] = {}
    problems: list[str] = []
    for name in names(chosen):
        try:
            loaded[name] = load(name)
        except PluginRefused as refusal:
            problems.append(str(refusal))
    return loaded, problems
