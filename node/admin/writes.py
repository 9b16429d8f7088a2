"""Writes: mutations to a commit, and what its answer carries (DESIGN 3 and 9)."""

import uuid
from collections.abc import Mapping

from aiohttp import web
from blake3 import blake3

from node.admin.audit_log import note_commit, note_target
from node.admin.conditions import conditional
from node.admin.errors import Refusal
from node.admin.fence import note_written
from node.admin.limits import IDEMPOTENCY_KEY_CHARS_MAX
from node.admin.node_view import NodeView
from store.authority import Committed, Mutation

WRITE_ID_BYTES = 16


async def commit(request: web.Request, node: NodeView, *mutations: Mutation) -> Committed:
    """Commit mutations, all or none. Raises what NodeView.commit does, and Refusal."""
    conditioned = conditional(request, mutations)
    note_target(request, conditioned[0])
    committed = await node.commit(conditioned, write_id(request.headers))
    note_commit(request, conditioned[0], committed)
    note_written(request, committed.head.version)
    return committed


def revision_headers(committed: Committed) -> dict[str, str]:
    """The header by which every write names the authority's version after it."""
    return {"Grapevine-Revision": str(committed.head.version)}


def write_id(headers: Mapping[str, str]) -> bytes | None:
    """The write id that ``Idempotency-Key`` names: a UUID is the id itself, other text is hashed.

    So the id that a 503 with ``outcome: unknown`` names can be sent as the key of the retry. A key
    names one write for ever: with another body it still answers that first write's outcome.
    """
    key = headers.get("Idempotency-Key")
    if key is None:
        return None
    key = key.strip()
    if not (0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX and key.isascii() and key.isprintable()):
        raise Refusal(
            400,
            f"Idempotency-Key must be 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters",
        )
    try:
        return uuid.UUID(key).bytes
    except ValueError:
        return blake3(key.encode()).digest(WRITE_ID_BYTES)
