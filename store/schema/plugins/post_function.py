"""post-function: Lua after the other plugins."""

from store.schema.plugins.functions import functions

PLUGIN = functions("post-function", -1000)
