"""The caches of a node that purges are for, by their names: on the wire, in the API, in workers."""

ENTITIES = "entities"
"""Look-ups of consumers and credentials, which workers don't hold (``store.cold``)."""

NAMES = (ENTITIES,)
"""All of them. A plugin's cache adds its own name here, and registers it in each worker
(``node.proxy.caches``)."""
