"""The level of Kong's interfaces that this software speaks."""

KONG_API_VERSION = "3.9.3"
"""That ``GET /`` names, since clients parse it (DESIGN 9), and that bundled plugins have."""
