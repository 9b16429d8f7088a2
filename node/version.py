"""Versions that this node tells."""

from importlib import metadata

VERSION: str = metadata.version("grapevine-gateway")
"""The software's own version."""

KONG_API_VERSION = "3.9.3"
"""The level of Kong's Admin API that ``GET /`` names, since clients parse it (DESIGN 9)."""
