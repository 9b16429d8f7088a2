"""Messages about the replica: heads, changesets, repair and snapshots."""

import hashlib
from typing import NamedTuple

from gossip import limits
from gossip.messages.fields import (
    HEAD,
    STATE_HASH,
    Field,
    Kinds,
    integer,
    milliseconds,
    optional,
    read_bool,
    read_bytes,
    read_changeset,
    read_head,
    read_version,
    seconds,
)
from gossip.replica import Changeset, Head, Version

CHECK_BYTES = 4


def check_of(digest: bytes, state_hash: bytes) -> bytes:
    """What stands on heartbeats for what is held at a version."""
    return hashlib.blake2b(digest + state_hash, digest_size=CHECK_BYTES).digest()


class Heartbeat(NamedTuple):
    """Rides on pings, acks, pushes and push-pulls: what the sender serves, and how fresh it is."""

    version: Version
    check: bytes
    """Of the chain digest and the state hash at that version (``check_of``). Whoever remembers both
    finds by it that the histories differ, or that one of the two is damaged. They differ at every
    version from there on, so 32 bits find it in the end."""
    confirmation_age: float | None
    """Seconds since a member last compared its head with the authority's; None: never heard.
    Travels in whole milliseconds, rounded up."""
    keyring: int = 0
    """The counter of the keyring that the sender holds; 0 in clear, too."""
    keyring_check: int = 0
    """A byte of its digest, by which two that changed it at once find that they differ."""
    record: int = 0
    """The sender's ``gossip.member.record_mark``: whoever holds another record of it lacks one.
    0 when it isn't told."""

    @classmethod
    def of(
        cls,
        head: Head,
        confirmation_age: float | None,
        keyring: tuple[int, int] = (0, 0),
        record: int = 0,
        state_hash: bytes = b"",
    ) -> "Heartbeat":
        """What is said of a head that is served, of the keyring (its ``mark``), of the sender's own
        record and of the state."""
        check = check_of(head.digest, state_hash)
        return cls(head.version, check, confirmation_age, *keyring, record)


class Push(NamedTuple):
    """A changeset, whole."""

    changeset: Changeset
    residence: float | None
    """Seconds from the push at its origin to the sending of this packet; None when unknown."""
    hops: int
    """Nodes between the origin and the sender; 0 when the origin sends."""


class Announce(NamedTuple):
    """I hold this head; pull what you lack by stream, for it doesn't fit packets."""

    head: Head


class Request(NamedTuple):
    """Push me what follows this head of mine."""

    after: Head


class Pull(NamedTuple):
    """On a stream: send me what follows this head of mine."""

    after: Head


class Missing(NamedTuple):
    """What follows that head is not in the log here, or that head never was."""

    after: Head


class Distant(NamedTuple):
    """What follows that head is more than is worth sending change by change: take a whole state."""

    after: Head


class Fetch(NamedTuple):
    """On a stream: send me this slice of your whole state. Slices are asked for one after another,
    from 0; that question pins the state as it is then. One that another stream broke off at is
    asked for with the head, and with where to go on."""

    cursor: int
    head: Head | None = None
    resume: bytes = b""


class Slice(NamedTuple):
    """One slice of the whole state at a head."""

    head: Head
    cursor: int
    body: bytes
    last: bool
    state_hash: bytes = b""
    """Of that state (32 bytes)."""


class NoSlice(NamedTuple):
    """That slice isn't to be had here now: too many are being served, this node holds nothing, or
    it doesn't follow the one before. Ask another node."""

    cursor: int


Message = Heartbeat | Push | Announce | Request | Pull | Missing | Distant | Fetch | Slice | NoSlice

CURSOR = integer(0, limits.SNAPSHOT_SLICES_MAX)
RESUME: Field = (bytes, lambda raw: read_bytes(raw, 0, limits.RESUME_BYTES_MAX))
SLICE: Field = (bytes, lambda raw: read_bytes(raw, 1, limits.SLICE_BYTES_MAX))

KINDS: Kinds = {
    7: (
        Heartbeat,
        (
            (list, read_version),
            (bytes, lambda raw: read_bytes(raw, CHECK_BYTES, CHECK_BYTES)),
            milliseconds(limits.CONFIRMATION_AGE_MAX),
            integer(0, limits.COUNTER_MAX),
            integer(0, 255),
            integer(0, 127),
        ),
    ),
    8: (
        Push,
        ((list, read_changeset), seconds(limits.RESIDENCE_MAX), integer(0, limits.HOPS_MAX)),
    ),
    9: (Announce, (HEAD,)),
    10: (Request, (HEAD,)),
    11: (Pull, (HEAD,)),
    12: (Missing, (HEAD,)),
    53: (Distant, (HEAD,)),
    14: (Fetch, (CURSOR, optional(list, read_head), RESUME)),
    15: (Slice, (HEAD, CURSOR, SLICE, (bool, read_bool), STATE_HASH)),
    16: (NoSlice, (CURSOR,)),
}
