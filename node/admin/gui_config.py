"""``kconfig.js``: what Kong Manager is told of this node (Kong's admin_gui/init.lua)."""

import json
from collections.abc import Sequence

from node.config.listen import ListenAddress
from node.config.settings import Settings
from node.kong_version import KONG_API_VERSION


def kconfig(settings: Settings) -> bytes:
    """The script. All its values are texts, as Kong's are; an unset one is empty."""
    values = {
        "ADMIN_GUI_URL": settings.admin_gui_url,
        "ADMIN_GUI_PATH": settings.admin_gui_path,
        "ADMIN_API_URL": settings.admin_gui_api_url,
        "ADMIN_API_PORT": _port(settings.admin_listen, ssl=False),
        "ADMIN_API_SSL_PORT": _port(settings.admin_listen, ssl=True),
        "KONG_VERSION": KONG_API_VERSION,
        "KONG_EDITION": "community",
        "ANONYMOUS_REPORTS": "false",  # whatever is configured: nothing here reports anything
    }
    return f"window.K_CONFIG = {json.dumps(values, indent=2)}\n".encode()


def _port(listeners: Sequence[ListenAddress], *, ssl: bool) -> str:
    return next((str(listener.port) for listener in listeners if listener.ssl == ssl), "")
