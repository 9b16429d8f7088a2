"""Whom to ask for a state: a peer by lot, and of a few drawn the one furthest ahead."""

import random
from collections.abc import Container, Sequence
from typing import Literal

from gossip.member import Member
from gossip.replica import Head, Version

Failure = Literal["busy", "silent", "broken", "oversized", "corrupt"]

GRAVITY: tuple[Failure, ...] = ("busy", "silent", "broken", "oversized", "corrupt")

_CANDIDATES = 3
"""Of so many peers drawn by lot the one furthest ahead is asked: newcomers that start together
spread, and none picks a laggard."""


def choose_donor(
    peers: Sequence[Member],
    mine: Version,
    tried: Container[str],
    rng: random.Random,
    *,
    renew: bool,
) -> Member | None:
    """One that serves more than ``mine``, or as much where what is held here is to be renewed."""
    able = [
        (member.serving, member)
        for member in peers
        if member.serving is not None
        and (member.serving > mine or (renew and member.serving == mine))
        and member.node_id not in tried
    ]
    drawn = rng.sample(able, min(len(able), _CANDIDATES))
    return max(drawn, key=lambda candidate: candidate[0])[1] if drawn else None


def choose_successor(
    peers: Sequence[Member], head: Head, tried: Container[str], rng: random.Random
) -> Member | None:
    """One that may have the state at a head that was being taken elsewhere: who stands there, or
    has stood there."""
    able = [
        member
        for member in peers
        if member.serving is not None
        and member.serving >= head.version
        and member.node_id not in tried
    ]
    there = [member for member in able if member.serving == head.version]
    return rng.choice(there or able) if able else None
