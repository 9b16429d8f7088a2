"""Changesets: what one committed transaction did, as bytes that every node keeps and forwards.

The body is msgpack of ``[write_id, committed_at, origin, changes]``, and a mark where there is one;
each change is ``[kind, id, entity]`` where entity is the stored JSON text, or nil for a deletion.
There is one change per (kind, id): the final state, whatever happened in between. Digests cover
these bytes as the authority stored them, so nodes of mixed versions agree on them.
"""

import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgpack
from blake3 import blake3

from store.version import Version

BODY_BYTES_MAX = 64 * 1024 * 1024
CHANGE_BYTES_MIN = 4
"""An array of three, and the shortest of each: nobody's changes are that short."""

_FIELDS_BEFORE_CHANGES = 3
_BEGINNING_BYTES = 4_096
"""More than what stands before the changes: ids and a time."""
_READ_BYTES = 64 * 1024


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
        decoded = tuple(map(_change, _array(changes)))
    except Exception as error:  # msgpack raises a dozen kinds on garbage
        raise ValueError(f"not a changeset body: {error}") from error
    _check_beginning(write_id, committed_at, origin)
    return Body(write_id, committed_at, origin, decoded, _mark(marks))


def count_changes(data: bytes) -> int | None:
    """How many changes a body says that it has; None when that can't be read at its beginning."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(data[:_BEGINNING_BYTES])
    try:
        unpacker.read_array_header()
        for _ in range(_FIELDS_BEFORE_CHANGES):
            unpacker.skip()
        count: int = unpacker.read_array_header()
    except Exception:  # msgpack raises a dozen kinds on garbage
        return None
    return count


class BodyReader:
    """Reads a body piece by piece; all in all as ``decode_body`` does, but it isn't kept: what it
    takes to let go of a hundred thousand changes at once would be felt."""

    def __init__(self, data: bytes) -> None:
        self._size = len(data)
        self._unpacker = msgpack.Unpacker(
            io.BytesIO(data), read_size=_READ_BYTES, max_buffer_size=BODY_BYTES_MAX
        )
        self.total = 0
        """Changes that were read."""
        self._beginning: list[Change] = []
        self._body: Body | None = None

    def changes(self, count_max: int, bytes_max: int) -> Iterator[list[Change]]:
        """All of them, some at a time: so many, or fewer with so many bytes together.

        Raises ValueError when the body isn't one.
        """
        try:
            yield from self._read(count_max, bytes_max)
        except Exception as error:  # msgpack raises a dozen kinds on garbage
            raise ValueError(f"not a changeset body: {error}") from error

    def beginning(self) -> Body:
        """Once all changes were read: the body, with the first ``changes`` only."""
        assert self._body is not None, "the body isn't read yet"
        return self._body

    def _read(self, count_max: int, bytes_max: int) -> Iterator[list[Change]]:
        unpacker = self._unpacker
        fields = unpacker.read_array_header()
        if fields <= _FIELDS_BEFORE_CHANGES:
            raise ValueError("changes are missing")
        write_id, committed_at, origin = (unpacker.unpack() for _ in range(_FIELDS_BEFORE_CHANGES))
        _check_beginning(write_id, committed_at, origin)
        part: list[Change] = []
        size = 0
        for _ in range(unpacker.read_array_header()):
            change = _change(unpacker.unpack())
            part.append(change)
            size += len(change.entity or "")
            if len(part) >= count_max or size >= bytes_max:
                self._note(part)
                yield part
                part, size = [], 0
        self._note(part)
        yield part
        marks = [unpacker.unpack() for _ in range(fields - _FIELDS_BEFORE_CHANGES - 1)]
        if unpacker.tell() != self._size:
            raise ValueError("something follows it")
        changes = tuple(self._beginning)
        self._body = Body(write_id, committed_at, origin, changes, _mark(marks))

    def _note(self, part: list[Change]) -> None:
        self._beginning = self._beginning or [*part]
        self.total += len(part)


def _check_beginning(write_id: object, committed_at: object, origin: object) -> None:
    if not (isinstance(write_id, bytes) and isinstance(origin, str)):
        raise ValueError("not a changeset body: no write id or origin")
    if not (isinstance(committed_at, int | float) and math.isfinite(committed_at)):
        raise ValueError("not a changeset body: no time")


def _array(raw: object) -> list[Any]:
    """Maps and texts can be gone through, too."""
    if type(raw) is not list:
        raise ValueError("not a changeset body: no array")
    return raw


def _change(raw: object) -> Change:
    change = Change(*_array(raw)[:3])
    kind, entity_id, entity = change
    if not (isinstance(kind, str) and isinstance(entity_id, str)):
        raise ValueError("not a changeset body: a change without kind and id")
    if not (entity is None or isinstance(entity, str)):
        raise ValueError("not a changeset body: an entity that is not text")
    return change


def _mark(marks: Sequence[object]) -> str:
    return marks[0] if marks and isinstance(marks[0], str) else ""


def chain(predecessor: bytes, body: bytes) -> bytes:
    """The chain digest after a body: sha256(predecessor || blake3(body))."""
    return chain_on(predecessor, blake3(body).digest())


def chain_on(predecessor: bytes, body_digest: bytes) -> bytes:
    """The same, of the body's own digest."""
    return hashlib.sha256(predecessor + body_digest).digest()
