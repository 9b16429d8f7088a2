"""The version of this software."""

from importlib import metadata

VERSION: str = metadata.version("grapevine-gateway")
