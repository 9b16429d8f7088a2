"""Versions and heads: where in the authority's history something stands."""

from typing import NamedTuple

TAG_MAX = 2**64 - 1
REVISION_MAX = 2**63 - 1


class Version(NamedTuple):
    """A point in the authority's history, ordered as (epoch, tag, revision).

    ``epoch`` counts histories, ``tag`` is 64 random bits drawn by whoever began the epoch, and
    ``revision`` counts committed transactions without gaps. Prints as ``epoch.revision``.
    """

    epoch: int
    tag: int
    revision: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.revision}"


GENESIS = Version(0, 0, 0)
"""The version of a replica that holds nothing."""

GENESIS_DIGEST = bytes(32)


class Head(NamedTuple):
    """A version with its chain digest (32 bytes)."""

    version: Version
    digest: bytes


EMPTY = Head(GENESIS, GENESIS_DIGEST)


def parse_version(text: str) -> tuple[int, int]:
    """Read ``epoch.revision`` as the headers and the command line print it.

    Raises ValueError with a sentence for the client.
    """
    epoch, dot, revision = text.strip().partition(".")
    if not (dot and epoch.isascii() and epoch.isdigit() and revision.isascii()):
        raise ValueError(f"'{text}' is not a version; versions look like 1.42")
    if not revision.isdigit() or int(epoch) > REVISION_MAX or int(revision) > REVISION_MAX:
        raise ValueError(f"'{text}' is not a version; versions look like 1.42")
    return int(epoch), int(revision)
