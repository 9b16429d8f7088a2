"""The Admin API and the status API of a node, on aiohttp."""
