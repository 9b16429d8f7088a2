"""What gossip needs of the replica, and the plain values that pass between them.

Gossip sees a changeset as (version, predecessor, digest, opaque body). The replica, which
``store`` provides, owns canonical bytes and digests: it alone decides whether a changeset fits.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

Version = tuple[int, int, int]
"""(epoch, tag, revision), ordered as a tuple. Epoch and revision are below 2^63, tag below 2^64."""

GENESIS: Version = (0, 0, 0)
"""The version of a replica that holds nothing: below every version of an authority."""


class Head(NamedTuple):
    """A version and the chain digest (32 bytes) of the history that led to it."""

    version: Version
    digest: bytes


class Changeset(NamedTuple):
    """What one committed transaction did."""

    version: Version
    predecessor: bytes
    """Chain digest (32 bytes) of the version before."""
    digest: bytes
    """Chain digest (32 bytes) of this version: sha256(predecessor || blake3(body))."""
    body: bytes


Verdict = Literal["applied", "known", "early", "forked", "corrupt", "unconfirmed"]
"""``applied``: it was the next one and is now served. ``known``: at or below the head.
``early``: something before it is missing. ``forked``: it names another predecessor than what this
replica holds, so the histories differ. ``corrupt``: its digest doesn't fit its body.
``unconfirmed``: it is of a higher epoch, which only counts once the authority confirms it."""


Reach = Literal["reached", "behind", "forked"]
"""Towards a version. ``reached``: it or a descendant is held. ``behind``: it may still come.
``forked``: what is held left that history below it."""


Outcome = Literal["installed", "stale", "corrupt"]
"""``installed``: the snapshot is now served. ``stale``: its version isn't above the head.
``corrupt``: it is incomplete, or its slices don't lead to its head. Only the first changes
anything."""


class Installation(Protocol):
    """Another replica's snapshot that is being taken in, beside what is served until it is whole.

    Slice by slice, so that no call takes longer than one slice does. Ends with ``finish`` or
    ``abandon``.
    """

    def feed(self, data: bytes) -> bool:
        """Take the next slice. False when it is damaged or not the next one: then only ``abandon``
        is left."""

    def finish(self) -> Outcome:
        """All slices were fed: serve them, whole or not at all.

        Afterwards the log that the replica keeps begins at that head.
        """

    def abandon(self) -> None:
        """Nothing comes of it."""


class Replica(Protocol):
    """A node's copy of the authority, as far as gossip is concerned. All calls are synchronous."""

    def head(self) -> tuple[Version, bytes]:
        """The version served now, and its chain digest."""

    def reach(self, version: Version) -> Reach:
        """How the head stands towards a version that somebody committed."""

    def state_hash(self, version: Version) -> bytes | None:
        """The state hash (32 bytes) at one of the latest versions; None for one that isn't
        remembered. Two replicas that are well have the same at the same version (DESIGN 5)."""

    def offer(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        """Check a changeset and apply it if it is the very next one."""

    def changesets(
        self, after: Version, digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        """The changesets that follow the head (after, digest), oldest first.

        At most ``max_bytes`` of bodies, but always one if there is one. Empty when there is nothing
        newer. None when the log kept here doesn't reach back to it or never held that digest.
        """

    def snapshot(self, slice_bytes: int) -> Iterator[bytes]:
        """The whole state at the head of this moment, in slices of opaque bytes; at least one.

        A slice ends once it has ``slice_bytes`` bytes, so none has more than that plus one entity;
        it may end before, where more would take long to take in. Changes applied later don't show
        in it, however slowly it is read. The same state at the same head gives the same slices.
        """

    def begin_install(self, version: Version, digest: bytes) -> Installation:
        """Begin to replace everything by another replica's snapshot at this head."""
