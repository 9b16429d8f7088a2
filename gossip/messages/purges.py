"""Messages about purges (``gossip.purges``)."""

from typing import Any, NamedTuple

from gossip import limits
from gossip.invalidation import By, Invalidation
from gossip.messages.fields import (
    COUNTER,
    NODE_ID,
    Field,
    Kinds,
    Malformed,
    integer,
    one_of,
    read_array,
    read_text,
    read_version,
)
from gossip.replica import Version


class Source(NamedTuple):
    """A process and one of the caches that it purges: what is numbered from 1, without gaps."""

    node_id: str
    generation: int
    tag: int
    cache: str

    @property
    def life(self) -> tuple[int, int]:
        """Of two lives of a node the later one has the greater."""
        return self.generation, self.tag


class Purge(NamedTuple):
    """Forget this, at once and when you have come to this version."""

    source: Source
    sequence: int
    by: By
    text: str
    version: Version
    """What the origin served: whatever the purge is about had been written by then."""

    @property
    def invalidation(self) -> Invalidation:
        return Invalidation(self.source.cache, self.by, self.text)


class PurgeMark(NamedTuple):
    """A source has come so far, as I know it."""

    source: Source
    highest: int


class PurgesWanted(NamedTuple):
    """Send me these purges of a source."""

    source: Source
    sequences: tuple[int, ...]


Message = Purge | PurgeMark | PurgesWanted

_WRITE_NODE_ID, _READ_NODE_ID = NODE_ID


def _write_source(source: Source) -> list[object]:
    return [_WRITE_NODE_ID(source.node_id), *source[1:]]


def _read_source(raw: object) -> Source:
    node_id, generation, tag, cache = read_array(raw, 4)[:4]
    name = read_text(cache, limits.CACHE_NAME_BYTES_MAX)
    if not name:
        raise Malformed("a cache without a name")
    return Source(_READ_NODE_ID(node_id), COUNTER[1](generation), _TAG[1](tag), name)


def _read_sequences(raw: object) -> tuple[Any, ...]:
    return tuple(map(COUNTER[1], read_array(raw, 1)[: limits.PURGES_WANTED_MAX]))


_TAG = integer(0, limits.TAG_MAX)
_SOURCE: Field = (_write_source, _read_source)
_TEXT: Field = (str, lambda raw: read_text(raw, limits.PURGE_TEXT_BYTES_MAX))

KINDS: Kinds = {
    90: (Purge, (_SOURCE, COUNTER, one_of(By), _TEXT, (list, read_version))),
    91: (PurgeMark, (_SOURCE, COUNTER)),
    92: (PurgesWanted, (_SOURCE, (list, _read_sequences))),
}
