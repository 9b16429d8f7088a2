"""Changesets: what one committed transaction did, as bytes that every node keeps and forwards.

The body is msgpack of ``[write_id, committed_at, origin, changes]``, and a mark where there is one;
each change is ``[kind, id, entity]`` where entity is the stored JSON text, or nil for a deletion.
There is one change per (kind, id): the final state, whatever happened in between. Digests cover
these bytes as the authority stored them, so nodes of mixed versions agree on them.
"""

import hashlib
from typing import NamedTuple

import msgpack
from blake3 import blake3

from store.version import Version

BODY_BYTES_MAX = 64 * 1024 * 1024


class Change(NamedTuple):
    """The final state of one entity in a transaction."""

    kind: str
    """Collection name: ``services``, ``routes``, …"""
    id: str
    """UUID in lower case."""
    entity: str | None
    """The entity's stored JSON text, or None when it was deleted."""


class Changeset(NamedTuple):
    """One committed transaction, with its place in the chain."""

    version: Version
    predecessor: bytes
    digest: bytes
    body: bytes


class Body(NamedTuple):
    """A decoded changeset body."""

    write_id: bytes
    """16 bytes that name the write, drawn by the writer (or by the client: Idempotency-Key)."""
    committed_at: float
    """The writer's wall clock just before the commit, Unix seconds. For humans and measurements."""
    origin: str
    """Node id of the writer; empty for a command-line tool."""
    changes: tuple[Change, ...]
    mark: str = ""
    """What wrote it, where that is no client: ``audit`` or ``epoch``; empty else."""


def encode_body(body: Body) -> bytes:
    """The canonical bytes of a body."""
    marks = [body.mark] if body.mark else []
    encoded: bytes = msgpack.packb([*body[:3], [list(change) for change in body.changes], *marks])
    return encoded


def decode_body(data: bytes) -> Body:
    """Read a body. Raises ValueError when it isn't one; later fields are ignored."""
    try:
        write_id, committed_at, origin, changes, *marks = msgpack.unpackb(data)
        decoded = tuple(Change(*change[:3]) for change in changes)
    except Exception as error:  # msgpack raises a dozen kinds on garbage
        raise ValueError(f"not a changeset body: {error}") from error
    for kind, entity_id, entity in decoded:
        if not (isinstance(kind, str) and isinstance(entity_id, str)):
            raise ValueError("not a changeset body: a change without kind and id")
        if not (entity is None or isinstance(entity, str)):
            raise ValueError("not a changeset body: an entity that is not text")
    mark = marks[0] if marks and isinstance(marks[0], str) else ""
    return Body(write_id, committed_at, origin, decoded, mark)


def chain(predecessor: bytes, body: bytes) -> bytes:
    """The chain digest after a body: sha256(predecessor || blake3(body))."""
    return hashlib.sha256(predecessor + blake3(body).digest()).digest()
