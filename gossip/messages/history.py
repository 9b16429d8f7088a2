"""Messages about the authority's history: does anybody still read what is missing here?"""

from typing import NamedTuple

from gossip import limits
from gossip.messages.fields import (
    SEQUENCE,
    Field,
    Kinds,
    Malformed,
    read_array,
    read_bool,
    read_head,
    read_text,
)
from gossip.replica import Head


class Stance(NamedTuple):
    """How the sender's authority stood when it was read just now."""

    server: str
    """Which server answered, as it calls itself."""
    timeline: int
    head: Head
    """The authority's."""
    confirmed: Head
    """What the sender knows to be confirmed."""
    holds: bool
    """Whether the authority's history has that."""


class Question(NamedTuple):
    """This is how my authority stands: read yours again, now, and tell me the same."""

    sequence: int
    mine: Stance


class Answer(NamedTuple):
    """What a question asked for; None when my authority can't be read."""

    sequence: int
    mine: Stance | None


Message = Question | Answer


def _read_stance(raw: object) -> Stance:
    server, timeline, head, confirmed, holds = read_array(raw, 5)[:5]
    if type(timeline) is not int or not 0 <= timeline <= limits.TIMELINE_MAX:
        raise Malformed(f"{type(timeline).__name__} is not a timeline")
    return Stance(
        read_text(server, limits.SERVER_BYTES_MAX),
        timeline,
        read_head(head),
        read_head(confirmed),
        read_bool(holds),
    )


def _read_optional(raw: object) -> Stance | None:
    return None if raw is None else _read_stance(raw)


STANCE: Field = (list, _read_stance)
OPTIONAL: Field = (lambda value: None if value is None else list(value), _read_optional)

KINDS: Kinds = {70: (Question, (SEQUENCE, STANCE)), 71: (Answer, (SEQUENCE, OPTIONAL))}
