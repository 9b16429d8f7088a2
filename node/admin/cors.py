"""Cross-origin headers, by hand, as Kong's Admin API sends them (api_helpers.lua cors_filter).

Requests with credentials need the origin itself, never ``*``; whether a foreign origin is served
at all is access.py's matter.
"""

from collections.abc import Sequence


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

    ``allow`` lists the path's methods, ``requested`` is Access-Control-Request-Headers: whoever may
    ask at all may set any header.
    """
    return {
        "Allow": allow,
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers": requested
        if requested and requested.isascii()
        else "Content-Type",
    }
