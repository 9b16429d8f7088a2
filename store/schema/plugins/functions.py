"""Lua functions that requests run through, before or after the other plugins.

The code is taken as it is: nothing here can read Lua.
"""

from store.schema.checks import AtLeastOneOf
from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, NO_CONSUMER, PluginSchema, config

_PHASES = ("certificate", "rewrite", "access", "header_filter", "body_filter", "log")


def functions(name: str, priority: int) -> PluginSchema:
    """The schema of the plugin with that name and priority."""
    return PluginSchema(
        name=name,
        priority=priority,
        protocols=ALL_PROTOCOLS,
        scopes=NO_CONSUMER,
        config=config(
            {
                phase: Field(
                    "array",
                    f"Functions of the phase {phase}.",
                    required=True,
                    default=[],
                    elements=Field("string"),
                )
                for phase in _PHASES
            }
        ),
        checks=(AtLeastOneOf(tuple(f"config.{phase}" for phase in _PHASES)),),
    )
