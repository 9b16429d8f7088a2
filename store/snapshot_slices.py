"""The whole state as slices for a peer: how they are made, and how one is told from damage.

A slice is a mark (32 bytes) and msgpack of ``[last, [[kind, id, text], …]]``, in order of
(kind, id). The mark is blake3 of the mark before and the rest; before the first is the head's. So a
slice that is damaged, missing, moved or of another head is told for what it is when it comes.

Where to go on is the last mark with the last kind and id: whoever holds the same state gives the
same slices from there.
"""

from collections.abc import Iterator, Sequence

import msgpack
from blake3 import blake3

from store.changeset import Change
from store.contents import PinnedState
from store.limits import SLICE_ENTITIES_MAX
from store.version import Head

_MARK_BYTES = 32


def encode_slices(state: PinnedState, slice_bytes: int, resume: bytes = b"") -> Iterator[bytes]:
    """At least one, or those that follow where a reader stands (``SliceReader.resume``). A slice
    ends once its entities have ``slice_bytes`` bytes, or there are SLICE_ENTITIES_MAX of them.

    Raises ValueError when it can't be read where the reader stands.
    """
    mark, after = _unpack_resume(resume) if resume else (_head_mark(state.head), None)
    # Not a generator itself: what can't be read must be told by the call.
    return _encode(state, slice_bytes, mark, after)


def _encode(
    state: PinnedState, slice_bytes: int, mark: bytes, after: tuple[str, str] | None
) -> Iterator[bytes]:
    entities: list[bytes] = []
    size = 0
    for kind, entity_id, text in state.rows(after):
        if size >= slice_bytes or len(entities) >= SLICE_ENTITIES_MAX:
            mark, data = _seal(mark, entities, last=False)
            yield data
            entities, size = [], 0
        entities.append(msgpack.packb((kind, entity_id, text.decode())))
        size += len(entities[-1])
    yield _seal(mark, entities, last=True)[1]


class SliceReader:
    """Takes the slices of one head as they come."""

    def __init__(self, head: Head) -> None:
        self._mark = _head_mark(head)
        self._previous: tuple[str, str] | None = None
        self.complete = False
        """Whether the last one has come."""

    def read(self, data: bytes) -> list[Change]:
        """The entities of the next one. Raises ValueError for what isn't the next one of a
        snapshot at this head; then there is no going on."""
        payload = memoryview(data)[_MARK_BYTES:]
        self._mark = blake3(self._mark).update(payload).digest()
        if self.complete or data[:_MARK_BYTES] != self._mark:
            raise ValueError("a slice is damaged or doesn't follow the one before")
        last, entities = _unpack(payload)
        for change in entities:
            if self._previous is not None and change[:2] <= self._previous:
                raise ValueError(f"{change.kind} {change.id} is out of order")
            self._previous = change[:2]
        self.complete = last
        return entities

    def resume(self) -> bytes:
        """Where to go on, for ``encode_slices``; empty at the beginning."""
        if self._previous is None:
            return b""
        encoded: bytes = msgpack.packb([self._mark, *self._previous])
        return encoded


def _unpack_resume(resume: bytes) -> tuple[bytes, tuple[str, str]]:
    try:
        unpacked = msgpack.unpackb(resume)
    except Exception as error:  # msgpack raises a dozen kinds on garbage
        raise ValueError(f"not where slices go on: {error}") from error
    match unpacked:
        case [bytes(mark), str(kind), str(entity_id), *_] if len(mark) == _MARK_BYTES:
            return mark, (kind, entity_id)
    raise ValueError("not where slices go on")


def _head_mark(head: Head) -> bytes:
    return blake3(msgpack.packb([list(head.version), head.digest])).digest()


def _seal(mark: bytes, entities: Sequence[bytes], *, last: bool) -> tuple[bytes, bytes]:
    """The mark of a slice, and the slice."""
    packer = msgpack.Packer()
    header = packer.pack_array_header(2) + packer.pack(last)
    header += packer.pack_array_header(len(entities))
    payload = b"".join([header, *entities])
    mark = blake3(mark).update(payload).digest()
    return mark, mark + payload


def _unpack(payload: memoryview) -> tuple[bool, list[Change]]:
    try:
        last, entities = msgpack.unpackb(payload)[:2]
        changes = [Change(*entity[:3]) for entity in entities]
    except Exception as error:  # msgpack raises a dozen kinds on garbage
        raise ValueError(f"not a slice of a snapshot: {error}") from error
    if type(last) is not bool:
        raise ValueError("not a slice of a snapshot: it doesn't say whether it is the last")
    for kind, entity_id, text in changes:
        if not type(kind) is type(entity_id) is type(text) is str:
            raise ValueError("not a slice of a snapshot: an entity without kind, id and text")
    return last, changes
