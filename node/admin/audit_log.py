"""Who changed what by the Admin API: one line in the node's log for each write, done or refused.

What is not let in (a foreign page, a missing token) is no write, so nobody without access can fill
the log: the access log has that. No line holds a value, a query, or a key that is a secret.
"""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from node import logs
from node.admin.errors import status_of
from node.admin.limits import AUDIT_FIELD_CHARS_MAX
from node.admin.node_view import NodeView
from node.admin.redaction import SECRET_KINDS, shown_target
from node.proxy.forwarded import Trust
from store.authority import Committed, Create, Entity, Mutation, Replace
from store.schema import schema
from store.schema.values import is_uuid

log = logs.get("admin")

EVENT = "admin_write"
"""What tells these lines from all others; it stays the same in later versions."""
CLIENT_GONE = 499
"""nginx's status of a request whose client didn't wait for its answer."""

_FACTS = web.RequestKey("audited", dict[str, Any])
_READS = ("GET", "HEAD", "OPTIONS")


def note_read(request: web.Request) -> None:
    """This request changes nothing, whatever its method is."""
    request.pop(_FACTS, None)


def note_target(request: web.Request, mutation: Mutation) -> None:
    """What a write is about to change."""
    facts = request.get(_FACTS)
    if facts is None or isinstance(mutation, Replace):
        return
    facts["kind"] = mutation.kind
    if isinstance(mutation, Create):
        return
    if is_uuid(mutation.key):
        facts["id"] = mutation.key.lower()
    elif mutation.kind not in SECRET_KINDS:
        facts["name"] = mutation.key


def note_commit(request: web.Request, mutation: Mutation, committed: Committed) -> None:
    """What a write has changed: the entity that it was about, and how many in all."""
    facts = request.get(_FACTS)
    if facts is None:
        return
    facts["revision"] = str(committed.head.version)
    facts["changes"] = len(committed.changes)
    entity = committed.entities[0] if committed.entities else None
    if entity is not None and not isinstance(mutation, Replace):
        facts.update(_named(mutation.kind, entity))
    elif not isinstance(mutation, Replace):
        gone = [change.id for change in committed.changes if change.kind == mutation.kind]
        facts.update({"id": gone[0]} if gone else {})


def _named(kind: str, entity: Entity) -> dict[str, str]:
    name = schema(kind).label(entity)
    return {"id": entity["id"]} if name is None else {"id": entity["id"], "name": name}


def audit_writes(node: NodeView) -> Middleware:
    """Middleware: a line for each write that was let in, once it is known how it ended."""
    trust = Trust((), "", recursive=False)
    trusted: tuple[str, ...] = ()

    def line(request: web.Request, facts: dict[str, Any], status: int) -> None:
        nonlocal trust, trusted
        if node.settings.trusted_ips != trusted:  # read anew
            trusted = node.settings.trusted_ips
            trust = Trust(trusted, node.settings.real_ip_header, node.settings.real_ip_recursive)
        client = request.remote or "unix:"
        forwarded = request.headers.get("X-Forwarded-For")
        shown = {
            "client": client,
            "forwarded_for": forwarded if forwarded and trust.trusts(client.encode()) else None,
            "token": "yes" if node.settings.admin_token else None,
            "origin": request.headers.get("Origin"),
            "method": request.method,
            "path": shown_target(request).partition("?")[0],
            "status": status,
            **facts,
        }
        fields = {name: _short(value) for name, value in shown.items() if value is not None}
        log.notice("a write", event=EVENT, **fields)

    @web.middleware
    async def audit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in _READS or request.match_info.http_exception is not None:
            return await handler(request)
        request[_FACTS] = {}
        status = 500
        try:
            answer = await handler(request)
            status = answer.status
        except asyncio.CancelledError:
            status = CLIENT_GONE
            raise
        except Exception as error:
            status = status_of(error)
            raise
        finally:
            facts = request.get(_FACTS)
            if facts is not None:
                line(request, facts, status)
        return answer

    return audit


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > AUDIT_FIELD_CHARS_MAX:
        return f"{value[:AUDIT_FIELD_CHARS_MAX]}…"
    return value
