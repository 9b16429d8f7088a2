"""Messages by which replicas that differ find and repair it (DESIGN 5)."""

from typing import NamedTuple

from gossip import limits
from gossip.messages.fields import (
    HEAD,
    STATE_HASH,
    Field,
    Kinds,
    optional,
    read_array,
    read_bool,
    read_bytes,
    read_head,
    read_state_hash,
    read_version,
)
from gossip.replica import Head, Version


class Confirmed(NamedTuple):
    """A state that is the authority's."""

    version: Version
    state_hash: bytes


class Compare(NamedTuple):
    """What I hold at this version, exactly; answered alike by whoever remembers it."""

    head: Head
    state_hash: bytes
    answer: bool
    confirmed: Confirmed | None = None
    """What the sender has compared with the authority's state last."""


class Reconcile(NamedTuple):
    """On a stream: a question about what differs between your state at this head and mine.

    Without a head it is your state of now, which is pinned by that. Without a question I only want
    to know whether you have it.
    """

    head: Head | None
    question: bytes


class Reconciled(NamedTuple):
    """The answer about my state at this head. An empty one to a question: not yet, ask again."""

    head: Head
    state_hash: bytes
    answer: bytes


class Unreconciled(NamedTuple):
    """That state isn't to be had here now, or the question made no sense. Ask another node."""


Message = Compare | Reconcile | Reconciled | Unreconciled


def _read_confirmed(raw: object) -> Confirmed:
    version, state_hash = read_array(raw, 2)[:2]
    return Confirmed(read_version(version), read_state_hash(state_hash))


_QUESTION: Field = (bytes, lambda raw: read_bytes(raw, 0, limits.QUESTION_BYTES_MAX))
_ANSWER: Field = (bytes, lambda raw: read_bytes(raw, 0, limits.SLICE_BYTES_MAX))

KINDS: Kinds = {
    80: (Compare, (HEAD, STATE_HASH, (bool, read_bool), optional(list, _read_confirmed))),
    81: (Reconcile, (optional(list, read_head), _QUESTION)),
    82: (Reconciled, (HEAD, STATE_HASH, _ANSWER)),
    83: (Unreconciled, ()),
}
