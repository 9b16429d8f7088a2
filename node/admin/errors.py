"""Errors as clients see them: Kong's status map (api/endpoints.lua) and its bodies."""

import math
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from node import logs
from node.admin.answers import json_answer, message
from node.admin.node_view import (
    Conflict,
    NoSuchKey,
    NoSuchMember,
    NotAvailable,
    TooManyRequests,
)
from node.admin.redaction import shown_target
from store.errors import (
    AuthorityUnavailable,
    EntityError,
    OutcomeUnknown,
    PreconditionFailed,
    StateMoved,
)

log = logs.get("admin")

NOT_FOUND = "Not found"
METHOD_NOT_ALLOWED = "Method not allowed"
UNEXPECTED = "An unexpected error occurred"
TOO_MANY_ARGUMENTS = "Too many arguments"

INVALID_OPTIONS = 11
"""The one code whose details are called ``options`` rather than ``fields``."""

STATUS_BY_CODE = {
    1: 400,  # invalid primary key
    2: 400,  # schema violation
    3: 400,  # primary key violation
    4: 400,  # foreign key violation
    5: 409,  # unique constraint violation
    6: 404,  # not found
    7: 400,  # invalid offset
    8: 500,  # database error
    9: 400,  # invalid size
    10: 400,  # invalid unique
    INVALID_OPTIONS: 400,
    12: 405,  # operation unsupported
    13: 400,  # foreign keys unresolved
    14: 400,  # invalid declarative configuration
    19: 400,  # referenced by others
}
"""HTTP status by Kong's error code."""

MESSAGE_BY_STATUS = {
    400: "Bad request",
    404: NOT_FOUND,
    408: "Request timeout",
    413: "Payload too large",
    415: "Unsupported media type",
}


class Refusal(Exception):
    """A request answered with ``{"message": …}`` and a status of its own."""

    def __init__(
        self,
        status: int,
        text: str,
        headers: Mapping[str, str] | None = None,
        *,
        close: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers
        self.close = close
        """Whether the connection ends with the answer: part of the request was left unread."""


def not_found() -> Refusal:
    """What a missing path or parent entity gets."""
    return Refusal(404, NOT_FOUND)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into Kong's answer; the unforeseen into a log line and 500."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return http_error_answer(error)
    except Exception as error:
        if isinstance(error, ConnectionError) and request.transport is None:
            raise  # the client has gone; there is nobody to answer
        answer = error_answer(error)
        if answer is None:
            log.exception("request failed", method=request.method, path=shown_target(request))
            answer = message(UNEXPECTED, 500)
        return answer


def error_answer(error: Exception) -> web.Response | None:
    """The answer to a foreseen error; None for one that isn't."""
    if isinstance(error, Refusal):
        answer = message(error.text, error.status, error.headers)
        if error.close:
            answer.force_close()
        return answer
    if isinstance(error, PreconditionFailed):
        return message(error.message, 412)
    if isinstance(error, StateMoved):
        return message(error.message, 409)
    if isinstance(error, EntityError):
        return entity_error_answer(error)
    if isinstance(error, OutcomeUnknown):
        # The id, sent again as Idempotency-Key, makes the retry safe (DESIGN 3).
        write_id = str(uuid.UUID(bytes=error.write_id))
        return json_answer({"message": str(error), "outcome": "unknown", "id": write_id}, 503)
    if isinstance(error, AuthorityUnavailable | NotAvailable):
        return message(str(error), 503)
    if isinstance(error, TooManyRequests):
        return message(str(error), 429, {"Retry-After": str(math.ceil(error.retry_after))})
    if isinstance(error, NoSuchMember | NoSuchKey):
        return message(str(error), 404)
    if isinstance(error, Conflict):
        return message(str(error), 409)
    if isinstance(error, web.RequestPayloadError):
        return message(MESSAGE_BY_STATUS[400], 400)
    return None


def status_of(error: Exception) -> int:
    """The status with which an error is answered."""
    if isinstance(error, web.HTTPException):
        return error.status
    answer = error_answer(error)
    return 500 if answer is None else answer.status


def entity_error_answer(error: EntityError) -> web.Response | None:
    """Kong's error object; None when its code stands for a fault of the server."""
    status = STATUS_BY_CODE.get(error.code, 500)
    if status == 500:
        return None
    body: dict[str, Any] = {"code": error.code, "name": error.name, "message": error.message}
    if error.fields:
        body["options" if error.code == INVALID_OPTIONS else "fields"] = error.fields
    return json_answer(body, status)


def http_error_answer(error: web.HTTPException) -> web.Response:
    """The answer to an error of the HTTP layer: unknown path, wrong method, body too large."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return message(METHOD_NOT_ALLOWED, 405, {"Allow": allow_header(error.allowed_methods)})
    return message(MESSAGE_BY_STATUS.get(error.status, error.reason), error.status)


def allow_header(methods: set[str]) -> str:
    """A path's methods as Kong lists them."""
    return ", ".join(sorted({*methods, "OPTIONS"}))
