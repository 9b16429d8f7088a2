"""Who may use the Admin API: which sites' pages, and holders of which token (DESIGN 9)."""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

from node.config.settings import Settings

ANY_ORIGIN = "*"
TOKEN_HEADER = "Kong-Admin-Token"


@dataclass(frozen=True, slots=True)
class Access:
    """The part of the node's configuration that says who may use the Admin API."""

    allowed_origins: frozenset[str] = frozenset()
    """``admin_allowed_origins``: origins whose pages may call; ``*`` refuses nothing."""
    gui_origins: tuple[str, ...] = ()
    """Origins of ``admin_gui_url``, in its order; see ``origin_of``."""
    gui_ports: frozenset[int] = frozenset()
    """Ports of ``admin_gui_listen``."""
    token: str | None = None
    """``admin_token``; None lets everybody in."""


def origin_of(url: str) -> str:
    """The origin of a URL, as browsers write it. Raises ValueError when it has none."""
    parsed = URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(
            f"'{url}' is not a URL with a host; write it like https://gui.example:8002"
        )
    return str(parsed.origin()).lower()


def access_of(settings: Settings) -> Access:
    """What a node's configuration says about access to its Admin API."""
    return Access(
        allowed_origins=frozenset(
            origin if origin == ANY_ORIGIN else origin_of(origin)
            for origin in settings.admin_allowed_origins
        ),
        gui_origins=(origin_of(settings.admin_gui_url),) if settings.admin_gui_url else (),
        gui_ports=frozenset(listener.port for listener in settings.admin_gui_listen),
        token=settings.admin_token,
    )


def cross_site_refusal(
    access: Access, headers: Mapping[str, str], *, listener_is_loopback: bool
) -> str | None:
    """Why a request that a web page may have caused is refused; None when it isn't.

    ``headers`` must compare names without case. A page can make its visitor's browser call a
    loopback port, by a plain cross-site request or by a DNS name of its own that leads to
    127.0.0.1; programs send neither Origin nor Sec-Fetch-*, and are never refused.
    """
    origin = headers.get("Origin")
    from_browser = origin is not None or any(
        name.lower().startswith("sec-fetch-") for name in headers
    )
    if not from_browser or ANY_ORIGIN in access.allowed_origins:
        return None
    origin = origin.lower() if origin is not None else None
    if origin in access.allowed_origins or origin in access.gui_origins:
        return None
    host = headers.get("Host", "")
    if listener_is_loopback and not _is_loopback(_hostname(host)):
        return (
            f"cross-site request refused: Host '{host}' is not a name of this machine's loopback; "
            "list the page's origin in admin_allowed_origins"
        )
    if origin is None:
        if headers.get("Sec-Fetch-Site", "").lower() != "cross-site":
            return None
        return "cross-site request refused: Sec-Fetch-Site is 'cross-site'"
    if _is_own(origin, host, access.gui_ports):
        return None
    return (
        f"cross-site request refused: origin '{origin}' is not allowed; "
        "list it in admin_allowed_origins"
    )


def token_accepted(access: Access, headers: Mapping[str, str]) -> bool:
    """Whether the request holds ``admin_token``, as Kong-Admin-Token or as a bearer token."""
    if access.token is None:
        return True
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    given = headers.get(TOKEN_HEADER, bearer)
    return hmac.compare_digest(_bytes(given), _bytes(access.token))


@lru_cache(maxsize=256)
def is_loopback_address(address: str) -> bool:
    """Whether a numeric address, as a socket names it, is loopback."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def _is_own(origin: str, host: str, gui_ports: frozenset[int]) -> bool:
    """The page came from here, or from a GUI listener on the name that the request used.

    Only host and port are compared: a proxy before us may speak https where we speak http.
    """
    if origin.partition("://")[2] == host.lower():
        return True
    try:
        page = URL(origin)
        return page.port in gui_ports and page.host == _hostname(host)
    except ValueError:
        return False


def _hostname(host: str) -> str:
    try:
        return (URL(f"http://{host}").host or "").lower()
    except ValueError:
        return ""


def _is_loopback(hostname: str) -> bool:
    name = hostname.removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback_address(name)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
