"""cors: whether pages of other origins may call (``kong/plugins/cors/handler.lua``)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import re2

from node.kong_version import KONG_API_VERSION
from node.plugins import limits
from node.plugins.context import Context, Response
from node.plugins.interface import Bound, Plugin, PluginRefused, Worker
from store.schema.plugins import cors

_LITERAL = re.compile(r"[A-Za-z0-9.:/-]+")
_ALL_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"
_HANDLED = "cors: preflight"
_DEFAULT_PORTS = {"http": 80, "https": 443}

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class _Origin(NamedTuple):
    """An origin taken apart."""

    domain: str
    """Scheme, host and port, a scheme's own port left out."""
    host: str


class _Allowed(NamedTuple):
    """One of the configured origins."""

    domain: str
    expression: "re2._Regexp[str] | None"
    by_host: bool
    """The expression says nothing of the scheme: it is about the host alone."""


def _origin(text: str) -> _Origin:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return _Origin(text, text)
    if not host:
        return _Origin(text, text)
    own = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    bracketed = f"[{host}]" if ":" in host else host
    return _Origin(f"{scheme}{bracketed}{own}", bracketed)


def _allowed(text: str) -> _Allowed:
    if _LITERAL.fullmatch(text):
        return _Allowed(_origin(text).domain, None, ":" not in text)
    pattern = text.removeprefix("^")
    if not pattern.endswith("$"):
        pattern += "$"
    try:
        return _Allowed("", re2.compile(pattern, _OPTIONS), ":" not in text)
    except re2.error as error:
        raise PluginRefused(f"origins: {text!r} is no expression that RE2 knows") from error


class Cors(Plugin):
    """See the module's text."""

    schema = cors.PLUGIN
    version = KONG_API_VERSION

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        origins: list[str] = config.get("origins") or []
        self._allows_all = not origins or origins == ["*"]
        self._only = ""
        """The one origin that is told whoever asks."""
        if len(origins) == 1 and _LITERAL.fullmatch(origins[0]):
            self._only = origins[0]
        self._any_among = "*" in origins
        self._allowed = [_allowed(text) for text in origins if text != "*"]
        self._known: dict[str, str | None] = {}
        self._headers = ",".join(config.get("headers") or ())
        self._exposed = ",".join(config.get("exposed_headers") or ())
        methods = config.get("methods")
        self._methods = ",".join(methods) if methods is not None else _ALL_METHODS
        max_age = config.get("max_age")
        self._max_age = "" if max_age is None else f"{max_age:.14g}"
        self._credentials: bool = config["credentials"]
        self._private_network: bool = config["private_network"]
        self._leaves_preflight: bool = config["preflight_continue"]

    def access(self, context: Context) -> None:
        headers = context.headers
        origin = headers.get("origin")
        asked = headers.get("access-control-request-method")
        if context.method != "OPTIONS" or origin is None or asked is None:
            return
        context.shared[_HANDLED] = True
        if self._leaves_preflight:
            return
        response = context.response
        self._admit(response, origin, response.set_header)
        wanted = self._headers or headers.get("access-control-request-headers")
        if wanted:
            response.set_header("Access-Control-Allow-Headers", wanted)
        response.set_header("Access-Control-Allow-Methods", self._methods)
        if self._max_age:
            response.set_header("Access-Control-Max-Age", self._max_age)
        if (
            self._private_network
            and headers.get("access-control-request-private-network") == "true"
        ):
            response.set_header("Access-Control-Allow-Private-Network", "true")
        context.exit(200)

    def header_filter(self, context: Context) -> None:
        if _HANDLED in context.shared:
            return
        response = context.response
        self._admit(response, context.headers.get("origin"), response.add_header)
        if self._exposed:
            response.set_header("Access-Control-Expose-Headers", self._exposed)

    def _admit(self, response: Response, origin: str | None, vary: Any) -> None:
        """Say which origin may call, and whether with credentials."""
        anyone = self._say_origin(response, origin, vary)
        if not self._credentials:
            return
        if not anyone:
            response.set_header("Access-Control-Allow-Credentials", "true")
        elif origin is not None:  # with credentials, ``*`` isn't allowed
            vary("Vary", "Origin")
            response.set_header("Access-Control-Allow-Origin", origin)
            response.set_header("Access-Control-Allow-Credentials", "true")

    def _say_origin(self, response: Response, origin: str | None, vary: Any) -> bool:
        """Whether any origin may call."""
        if self._allows_all:
            response.set_header("Access-Control-Allow-Origin", "*")
            return True
        vary("Vary", "Origin")
        if self._only:
            response.set_header("Access-Control-Allow-Origin", self._only)
            return False
        if origin is not None:
            if self._any_among:
                response.set_header("Access-Control-Allow-Origin", "*")
                return True
            admitted = self._match(origin)
            if admitted is not None:
                response.set_header("Access-Control-Allow-Origin", admitted)
                return False
        response.clear_header("Access-Control-Allow-Origin")
        return False

    def _match(self, text: str) -> str | None:
        """What an admitted origin is called; None for one that isn't."""
        if text in self._known:
            return self._known[text]
        origin = _origin(text)
        admitted = None
        for allowed in self._allowed:
            if allowed.expression is None:
                found = origin.domain == allowed.domain
            else:
                subject = origin.host if allowed.by_host else origin.domain
                found = allowed.expression.match(subject) is not None
            if found:
                admitted = origin.domain
                break
        if len(self._known) >= limits.ORIGINS_REMEMBERED_MAX:
            self._known.clear()
        if len(text) <= limits.ORIGIN_CHARS_MAX:
            self._known[text] = admitted
        return admitted


PLUGIN = Cors
