"""The documentation of the plugins, made from their schemas: ``python -m store.schema.plugins``."""

from collections.abc import Iterator

from store.schema.field import Field
from store.schema.plugins import bundled_names, plugin_schema
from store.schema.plugins.plugin import SCOPES, PluginSchema
from store.schema.tables import table

_HEAD = """\
# Plugins

This page is made by `python -m store.schema.plugins`; a test compares the two.

What plugins' configurations may say: names, types, defaults, rules and error texts are those of
Kong 3.9, whose bundled plugins these are. **This version runs these of them: cors, key-auth,
prometheus, rate-limiting, request-transformer.** The others can't be created. How they run, what
differs from Kong, and how to write one, is on [another page](writing-plugins.md).

Of two plugins the one with the higher priority runs first. A field that is *required* can't be
null, but most have a default; a record is filled with the defaults of its fields. Fields marked
*secret* take a reference to a vault, `{vault://…}`, in place of the value. Older names are accepted
and turned into the fields that replace them. What a plugin may be bound to is said when it isn't
all of a route, a service and a consumer; its protocols when they aren't the usual ones (`grpc`,
`grpcs`, `http`, `https`).

Regular expressions are RE2's: linear in time, without look-around. Code in Lua is stored as it is.

Kong is a trademark of Kong Inc. Grapevine is an independent project, not affiliated with or
endorsed by Kong Inc.

| plugin | priority |
|---|---|
"""


def page() -> str:
    """The whole of docs/plugins.md."""
    plugins = [_known(name) for name in sorted(bundled_names())]
    index = "".join(
        f"| [{plugin.name}](#{plugin.name}) | {plugin.priority} |\n"
        for plugin in sorted(plugins, key=lambda plugin: -plugin.priority)
    )
    return _HEAD + index + "".join("".join(_section(plugin)) for plugin in plugins)


def _known(name: str) -> PluginSchema:
    plugin = plugin_schema(name)
    assert plugin is not None
    return plugin


def _section(plugin: PluginSchema) -> Iterator[str]:
    yield f"\n## {plugin.name}\n\nPriority {plugin.priority}.{_bounds(plugin)}\n\n"
    yield table(plugin.config.fields or {})
    old = ", ".join(f"`{path}`" for path in _old_names("", plugin.config))
    if old:
        yield f"\nOlder names: {old}.\n"


def _bounds(plugin: PluginSchema) -> str:
    said = ""
    if plugin.scopes != SCOPES:
        scopes = [scope for scope in ("route", "service", "consumer") if scope in plugin.scopes]
        said += f" May be bound to a {' or a '.join(scopes)}." if scopes else " Global only."
    usual = PluginSchema("", 0, plugin.config)
    if (plugin.protocols, plugin.protocols_default) != (usual.protocols, usual.protocols_default):
        also = [name for name in plugin.protocols if name not in usual.protocols]
        said += f" Protocols: also {', '.join(f'`{name}`' for name in also)}."
    return said


def _old_names(prefix: str, record: Field) -> Iterator[str]:
    yield from (prefix + name for name in record.shorthands or ())
    for name, field in (record.fields or {}).items():
        yield from _old_names(f"{prefix}{name}.", field)


if __name__ == "__main__":
    print(page(), end="")
