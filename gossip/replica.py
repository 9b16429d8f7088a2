"""What gossip needs of the replica, and the plain values that pass between them.

Gossip sees a changeset as (version, predecessor, digest, opaque body). The replica, which
``store`` provides, owns canonical bytes and digests: it alone decides whether a changeset fits.
"""

from collections.abc import Generator, Iterator, Sequence
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


Verdict = Literal[
    "applied", "preparing", "known", "early", "forked", "corrupt", "unconfirmed", "poison"
]
"""``applied``: it was the next one and is now served. ``preparing``: it is the next one, and large:
the replica goes on with it, for some milliseconds, each time that it is offered again; nothing of
it shows before it is applied. ``known``: at or below the head.
``early``: something before it is missing. ``forked``: it names another predecessor than what this
replica holds, so the histories differ. ``corrupt``: its digest doesn't fit its body.
``unconfirmed``: it is of a higher epoch, which only counts once the authority confirms it.
``poison``: it is the next one and whole, but can't be applied here; nothing is changed."""


Reach = Literal["reached", "behind", "forked"]
"""Towards a version. ``reached``: it or a descendant is held. ``behind``: it may still come.
``forked``: what is held left that history below it."""


Outcome = Literal["installed", "stale", "corrupt"]
"""``installed``: the peer's state is now served. ``stale``: its version isn't above the head.
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

    def resume(self) -> bytes:
        """Where to go on after the slices that were fed, for ``Giving.slices``."""

    def finish(self) -> Outcome:
        """All slices were fed: serve them, whole or not at all.

        Afterwards the log that the replica keeps begins at that head.
        """

    def abandon(self) -> None:
        """Nothing comes of it."""


Step = Literal["working", "ready", "large", "refused"]
"""``working``: go on soon. ``ready``: ``finish`` it. ``large``: so much differs that everything is
better taken. ``refused``: the peer's answers lead nowhere."""


class Reconciliation(Protocol):
    """Finding what differs from a peer's state, and making good for it in one go.

    No call takes long. The questions and answers are opaque here.
    """

    def proceed(self, answer: bytes = b"") -> bytes | Step:
        """Go on: with the answer to the question that was given last, or with some work. Gives the
        next question, or how it stands."""

    def finish(self) -> Outcome:
        """It is ready: serve the peer's state, whole or not at all."""

    def abandon(self) -> None:
        """Nothing comes of it."""


class Giving(Protocol):
    """The whole state of one moment, as other nodes take it. What is applied later doesn't show."""

    @property
    def head(self) -> tuple[Version, bytes]: ...

    @property
    def state_hash(self) -> bytes: ...

    def slices(self, slice_bytes: int, resume: bytes = b"") -> Iterator[bytes]:
        """Everything, in slices of opaque bytes, at least one; or those that follow where an
        ``Installation`` stands.

        A slice ends once it has ``slice_bytes`` bytes, so none has more than that plus one entity;
        it may end before, where more would take long to take in. The same state at the same head
        gives the same slices, on whatever node. Raises ValueError for a ``resume`` that is none.
        """

    def answer(self, question: bytes) -> bytes | None:
        """To a question of a ``Reconciliation``, never empty. None while there is ``work`` to do
        for it. Raises ValueError for what is no question."""

    def work(self) -> bool:
        """Do a little of what answers wait for; False when none does."""


class Replica(Protocol):
    """A node's copy of the authority, as far as gossip is concerned. All calls are synchronous."""

    def head(self) -> tuple[Version, bytes]:
        """The version served now, and its chain digest."""

    def reach(self, version: Version) -> Reach:
        """How the head stands towards a version that somebody committed."""

    def state_hash(self, version: Version) -> bytes | None:
        """The state hash (32 bytes) at one of the latest versions; None for one that isn't
        remembered. Two replicas that are well have the same at the same version (DESIGN 5). Empty
        where the chain digest covers the state, too."""

    def size(self) -> int:
        """How many entities are held: what a whole state costs. 0 where that is little."""

    def digest(self, version: Version) -> bytes | None:
        """The chain digest (32 bytes) at a version of the history that led here; None for one that
        isn't held any more, or never was."""

    def audit(self) -> Generator[None, None, bool]:
        """Hash what lies in memory anew, some at each step: whether it is what it should be."""

    def offer(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        """Check a changeset and apply it if it is the very next one; no call takes long
        (``preparing``)."""

    def changesets(
        self, after: Version, digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        """The changesets that follow the head (after, digest), oldest first.

        At most ``max_bytes`` of bodies, but always one if there is one. Empty when there is nothing
        newer. None when the log kept here doesn't reach back to it or never held that digest.
        """

    def give(self) -> Giving:
        """The whole state at the head of this moment, for others."""

    def begin_install(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Installation:
        """Begin to replace everything by another replica's snapshot at this head; it must come out
        at the state hash.

        With ``renew`` it is taken even if what is held is as new, or newer: what was applied since
        is applied to it first, so that nothing goes back.
        """

    def begin_reconcile(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Reconciliation:
        """Begin to find what differs from another replica's state at this head. Else as above."""
