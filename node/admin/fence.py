"""How far a write has come: ``?fence=all`` and ``Grapevine-Fence`` (DESIGN 4, point 8).

A write that asks for it is answered once every member serves it, and with how far it came when the
time is over before. What writes nothing has nothing to wait for, so a client may send the header
with everything.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from node.admin.answers import message
from node.admin.errors import Refusal
from node.admin.limits import (
    FENCE_NAMES_SHOWN_MAX,
    FENCE_SECONDS_DEFAULT,
    FENCE_SECONDS_MAX,
)
from node.admin.node_view import Fenced, NodeView
from node.named_version import NamedVersion
from store.version import Version

FENCE = "Grapevine-Fence"
ALL = "all"
_TIMEOUT_DIGITS_MAX = 12
_WRITTEN = web.RequestKey("written", Version)
"""Key of a request under which its handler has left the version that it answers."""


def note_written(request: web.Request, version: Version) -> None:
    """The answer to this request names a version, which is what its fence is about."""
    request[_WRITTEN] = version


def fence_writes(node: NodeView) -> Middleware:
    """Middleware: a write's answer waits for its fence. A bad wish is refused before anything is
    done."""

    @web.middleware
    async def wait(request: web.Request, handler: Handler) -> web.StreamResponse:
        seconds = None if request.method in ("GET", "HEAD") else wished(request)
        answer = await handler(request)
        version: Version | None = request.get(_WRITTEN)
        if seconds is None or version is None:
            return answer
        fenced = await node.fence(NamedVersion.of(version), seconds)
        if fenced.outcome == "forked":
            revision = answer.headers["Grapevine-Revision"]
            headers = {"Grapevine-Revision": revision, FENCE: header(fenced)}
            return message(forked(revision), 409, headers)
        if fenced.outcome == "partial":
            answer.set_status(202)
        answer.headers[FENCE] = header(fenced)
        return answer

    return wait


def wished(request: web.Request) -> float | None:
    """For how many seconds a write wants to wait for all; None when it doesn't. The query goes
    before the header. Raises Refusal 400."""
    query = request.query.get("fence")
    if query is not None:
        _check_all("fence", query)
        return read_timeout(request.query.get("timeout"))
    value = request.headers.get(FENCE)
    if value is None:
        return None
    kind, *parameters = (part.strip() for part in value.split(";"))
    _check_all(FENCE, kind)
    timeout = None
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip().lower() != "timeout" or timeout is not None:
            raise Refusal(
                400, f"{FENCE}: '{parameter}' is not known; write 'all' or 'all; timeout=2'"
            )
        timeout = text.strip()
    return read_timeout(timeout)


def read_timeout(text: str | None) -> float:
    """Seconds to wait; the default for None. Raises Refusal 400."""
    if text is None:
        return FENCE_SECONDS_DEFAULT
    whole, _, part = text.partition(".")
    digits = whole + part
    if digits.isascii() and digits.isdigit() and len(digits) <= _TIMEOUT_DIGITS_MAX:
        seconds = float(text)
        if 0.0 < seconds <= FENCE_SECONDS_MAX:
            return seconds
    raise Refusal(
        400, f"timeout: '{text}' is not a number of seconds above 0 and up to {FENCE_SECONDS_MAX:g}"
    )


def _check_all(name: str, value: str) -> None:
    if value.lower() != ALL:
        raise Refusal(400, f"{name}: '{value}' is not known; a write's fence is 'all'")


def header(fenced: Fenced) -> str:
    """The value of ``Grapevine-Fence`` in an answer. Names are percent-encoded; of many the first
    are named and all counted."""
    if fenced.outcome == "complete":
        return f"complete; members={fenced.members}"
    if fenced.outcome == "forked":
        return "forked"
    parts = ["partial"]
    for kind, names in lists(fenced).items():
        if not names:
            continue
        parts.append(f"{kind}={','.join(map(_token, names[:FENCE_NAMES_SHOWN_MAX]))}")
        if len(names) > FENCE_NAMES_SHOWN_MAX:
            parts.append(f"{kind}-total={len(names)}")
    return "; ".join(parts)


def lists(fenced: Fenced) -> Mapping[str, Sequence[str]]:
    """Who doesn't have it, as far as is known, by why."""
    return {"missing": fenced.missing, "unreachable": fenced.unreachable}


def forked(version: str) -> str:
    """What a client is told of a version that will never be everywhere."""
    return (
        f"revision {version} is no part of the cluster's history any more: the history has left it "
        "(a failover that lost commits, or a restore)"
    )


def _token(name: str) -> str:
    return quote(name, safe="", errors="replace")
