"""Cross-origin headers, by hand, as Kong's Admin API sends them (api_helpers.lua cors_filter).

Requests with credentials need the origin itself, never ``*``; whether a foreign origin is served
at all is access.py's matter.
"""

from collections.abc import Sequence

ALLOWED_HEADERS = (
    "Content-Type",
    "Authorization",
    "Grapevine-Fence",
    "Idempotency-Key",
    "If-Match",
    "Kong-Admin-Token",
    "Kong-Request-Type",
)
"""Request headers a page may set. Kong names the first; the others are named when asked for."""


def cors_headers(origin: str | None, gui_origins: Sequence[str]) -> dict[str, str]:
    """Headers of every answer: the request's origin, or the GUI's when ``admin_gui_url`` is set."""
    allowed = origin if origin and origin.isascii() else None
    if gui_origins and origin not in gui_origins:
        allowed = gui_origins[0]
    return {
        "Access-Control-Allow-Origin": allowed or "*",
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def preflight_headers(allow: str, requested: str) -> dict[str, str]:
    """Headers of the answer to OPTIONS, beside those of every answer.

    ``allow`` lists the path's methods, ``requested`` is Access-Control-Request-Headers.
    """
    asked = {name.strip().lower() for name in requested.split(",")}
    first, *others = ALLOWED_HEADERS
    return {
        "Allow": allow,
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers": ", ".join(
            [first, *(name for name in others if name.lower() in asked)]
        ),
    }
