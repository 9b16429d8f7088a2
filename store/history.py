"""Which history the authority follows, and which of two a version belongs to (DESIGN 3).

An authority that lost commits in a failover, or was restored from a backup, goes on from an earlier
point: what it gives the same revisions is another history. Whoever can prove that raises the epoch,
by a changeset that records where the new history left the old one. Those records are entities of
the kind ``EPOCHS``, so every replica has all of them.
"""

from typing import Literal, NamedTuple

from store.version import Head

EPOCHS = "epochs"
"""Kind of the records of raised epochs. No API shows them."""

Reach = Literal["reached", "behind", "forked"]
"""Of a replica towards a version. ``reached``: it holds that version or a descendant. ``behind``:
it may still come there. ``forked``: what it holds left that history below it."""


class Server(NamedTuple):
    """Which server has answered for the authority."""

    address: str
    """``host:port`` as the server itself says; of SQLite, the machine's name and the file."""
    timeline: int
    """Postgres' timeline, which each promotion raises; 0 for SQLite."""


Proof = Literal["", "below", "reused"]
"""That a confirmed head isn't part of the authority's history: the authority's head is ``below``
it, or its log has ``reused`` the revision for something else. Empty: no proof."""


class Standing(NamedTuple):
    """What the read-write server says about a head that was confirmed before, read under the lock
    of the head row."""

    head: Head
    """The authority's."""
    server: Server
    proof: Proof


class Epoch(NamedTuple):
    """A raised epoch, as its record says."""

    epoch: int
    tag: int
    fork_revision: int
    """The last revision that this history is known to share with the one it was raised against;
    0 when nothing is known to be shared."""
    kept: Head
    """What the raise follows: this history's head before it."""
    abandoned: Head
    """The confirmed head that proved it; of a raise that was forced, perhaps no proof."""
    at: float
    """By the raiser's clock, Unix seconds."""
    origin: str
    """Node id of the raiser."""


def proof_of(head: Head, held: bytes | None, confirmed: Head) -> Proof:
    """Whether an authority with this head proves by it that it has left a confirmed one.

    ``held``: the chain that its log holds at the confirmed revision, None where that was trimmed,
    which proves nothing.
    """
    if head.version < confirmed.version:
        return "below"
    if head.version[:2] != confirmed.version[:2]:
        return ""  # somebody has raised the epoch already
    if head.version == confirmed.version:
        held = head.digest
    return "" if held in (None, confirmed.digest) else "reused"
