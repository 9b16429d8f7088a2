"""Messages of the fence: who has a version (DESIGN 4, point 8)."""

from enum import IntEnum
from typing import NamedTuple

from gossip import limits
from gossip.messages.fields import (
    NODE_ID,
    SEQUENCE,
    Field,
    Kinds,
    in_milliseconds,
    integer,
    one_of,
    read_version,
)
from gossip.replica import Version


class Standing(IntEnum):
    """How a member stands towards a fence's version. The numbers are on the wire."""

    REACHED = 0
    """All that can answer a request there have it, or a descendant."""
    FORKED = 1
    """It will never come there: what is held left that history below it."""
    WAITING = 2
    """Not yet: another answer follows when it has come."""


class FenceQuestion(NamedTuple):
    """Have you this version? Answered to the asker itself, whoever passed it on."""

    asker: str
    """Node id, and the tag of its process."""
    tag: int
    number: int
    """Its process' fences are counted."""
    version: Version
    seconds: float
    """How long the asker still waits. Travels in whole milliseconds, rounded up."""


class FenceAnswer(NamedTuple):
    """How I stand towards your fence with this number, if you are that process."""

    tag: int
    number: int
    standing: Standing


Message = FenceQuestion | FenceAnswer

TAG = integer(0, limits.TAG_MAX)


def _time_left(high: float) -> Field:
    _, read = integer(0, round(high * 1000))
    return (lambda value: min(in_milliseconds(value), round(high * 1000))), (
        lambda raw: read(raw) / 1000
    )


KINDS: Kinds = {
    60: (
        FenceQuestion,
        (NODE_ID, TAG, SEQUENCE, (list, read_version), _time_left(limits.FENCE_SECONDS_MAX)),
    ),
    61: (FenceAnswer, (TAG, SEQUENCE, one_of(Standing))),
}
