"""Answers that we make ourselves: Kong's texts, in the form that the client accepts.

Texts and forms: kong/error_handlers.lua, kong/tools/http.lua (get_error_template).
"""

import http

TEXTS = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    413: "Payload too large",
    414: "URI too long",
    431: "Request header or cookie too large",
    500: "An unexpected error occurred",
    502: "An invalid response was received from the upstream server",
    503: "The upstream server is currently unavailable",
    504: "The upstream server is timing out",
    505: "HTTP version not supported",
}

_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_XML = "application/xml; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"

_TEMPLATES = {
    _JSON: '{\n  "message":"%s",\n  "request_id":"%s"\n}',
    _HTML: (
        '<!doctype html>\n<html>\n  <head>\n    <meta charset="utf-8">\n    <title>Error</title>\n'
        "  </head>\n  <body>\n    <h1>Error</h1>\n    <p>%s.</p>\n    <p>request_id: %s</p>\n"
        "  </body>\n</html>\n"
    ),
    _XML: (
        '<?xml version="1.0" encoding="UTF-8"?>\n<error>\n  <message>%s</message>\n'
        "  <requestid>%s</requestid>\n</error>"
    ),
    _PLAIN: "%s\nrequest_id: %s\n",
}

_TYPES = {
    "*/*": _JSON,
    "application/*": _JSON,
    "application/json": _JSON,
    "text/html": _HTML,
    "text/*": _PLAIN,
    "text/plain": _PLAIN,
    "application/xml": _XML,
    "text/xml": _XML,
}


def content_type(accept: str) -> str:
    """The content type of an answer: the best of an Accept field (or a Content-Type) that is known.

    JSON when there is none, as in Kong.
    """
    best, best_quality = _JSON, 0.0
    for part in accept.lower().split(","):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                quality = _quality(parameter[2:])
        if media in _TYPES and quality > best_quality:
            best, best_quality = _TYPES[media], quality
    return best


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def body(message: str, request_id: bytes, kind: str) -> bytes:
    """The body of an error answer, of a type that `content_type` gave."""
    return (_TEMPLATES[kind] % (_escaped(message, kind), request_id.decode())).encode()


def _escaped(message: str, kind: str) -> str:
    if kind == _JSON:
        return message.replace("\\", "\\\\").replace('"', '\\"')
    if kind == _PLAIN:
        return message
    return message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def default_type(accept: bytes | None, request_type: bytes | None) -> str:
    """The type of an answer that in Kong comes from nginx: by Accept, else by the request's own
    Content-Type, else ``error_default_type`` (text/plain)."""
    return content_type((accept or request_type or b"text/plain").decode("latin-1"))


def reason_phrase(status: int) -> str:
    """The phrase for a status line."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
