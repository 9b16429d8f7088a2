"""Messages about how others travel: down a tree, and told of afterwards (DESIGN 4, points 1 to 3).

origin to relay      Relay, what is spread
relay to child       Relayed, what is spread, byte for byte
child to a few       Holds, a little later
"""

from typing import NamedTuple

from gossip import limits
from gossip.identity import WIRE_ID_BYTES, WireId
from gossip.messages import keys, membership
from gossip.messages.changes import Distant, Fetch, Missing, NoSlice, Pull, Request, Slice
from gossip.messages.fields import (
    Field,
    Kinds,
    Malformed,
    read_array,
    read_bytes,
    read_version,
    seconds,
)
from gossip.replica import Version


class Relay(NamedTuple):
    """Pass what follows in this packet on to these. Counts only at a packet's beginning."""

    children: tuple[WireId, ...]


class Relayed(NamedTuple):
    """What follows in this packet is its origin's word, passed on. Counts only at a packet's
    beginning."""

    origin: WireId
    residence: float | None
    """Seconds from the origin's sending to this relay's; None when unknown."""


class Run(NamedTuple):
    """Changesets of one history whose revisions follow each other."""

    epoch: int
    tag: int
    first: int
    last: int


class Holds(NamedTuple):
    """Something has come to me that is new: this I serve now, and these wait for what is between.
    Ask me for what you lack."""

    serving: Version
    waiting: tuple[Run, ...]


Message = Relay | Relayed | Holds

RELAY_NUMBER = 50

STRAIGHT = (
    *[kind for kind, _ in (*membership.KINDS.values(), *keys.KINDS.values())],
    *(Request, Pull, Missing, Distant, Fetch, Slice, NoSlice),
    *(Relay, Relayed, Holds),
)
"""What is said between two and never passed on: claims travel by a way of their own, and a
question in another's name would have many answer one."""


def _read_wire_ids(raw: object) -> tuple[WireId, ...]:
    data = read_bytes(raw, WIRE_ID_BYTES, limits.CHILDREN_MAX * WIRE_ID_BYTES)
    if len(data) % WIRE_ID_BYTES:
        raise Malformed(f"{len(data)} bytes are no whole number of wire ids")
    return tuple(
        [data[at : at + WIRE_ID_BYTES] for at in range(0, len(data), WIRE_ID_BYTES)]
    )  # fmt: skip


def _read_run(raw: object) -> Run:
    epoch, tag, first, last = read_array(raw, 4)[:4]
    read_version((epoch, tag, first))
    run = Run(*read_version((epoch, tag, last))[:2], first, last)  # type: ignore[arg-type]
    if run.first > run.last:
        raise Malformed("a run that ends before it begins")
    return run


def _read_runs(raw: object) -> tuple[Run, ...]:
    return tuple(map(_read_run, read_array(raw, 0)[: limits.HELD_RUNS_MAX]))


_WIRE_IDS: Field = (b"".join, _read_wire_ids)
_WIRE_ID: Field = (bytes, lambda raw: read_bytes(raw, WIRE_ID_BYTES, WIRE_ID_BYTES))

KINDS: Kinds = {
    RELAY_NUMBER: (Relay, (_WIRE_IDS,)),
    51: (Relayed, (_WIRE_ID, seconds(limits.RESIDENCE_MAX))),
    52: (Holds, ((list, read_version), (list, _read_runs))),
}
