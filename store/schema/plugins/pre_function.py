"""pre-function: Lua before the other plugins."""

from store.schema.plugins.functions import functions

PLUGIN = functions("pre-function", 1000000)
