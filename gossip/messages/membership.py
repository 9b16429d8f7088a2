"""Messages about members: probes, claims, table exchanges, identity, watches and refusals."""

from enum import IntEnum
from typing import NamedTuple

from gossip import limits
from gossip.address import Address
from gossip.member import Metadata, Status
from gossip.messages.fields import (
    COUNTER,
    NODE_ID,
    SEQUENCE,
    Kinds,
    fixed,
    integer,
    one_of,
    read_address,
    read_bool,
    read_bytes,
    read_metadata,
    read_status,
)

TABLE_DIGEST_BYTES = 16


class Ping(NamedTuple):
    """Are you there? Answered by an Ack with the same sequence."""

    sequence: int
    clock: int = 0
    """The sender's cluster clock, whole milliseconds (``gossip.schedule``)."""


class Ack(NamedTuple):
    """I am here; or, from a helper: the member you asked for is there."""

    sequence: int


class PingRequest(NamedTuple):
    """Ping this member for me, and tell me with an Ack or a Nack."""

    sequence: int
    target: str


class Nack(NamedTuple):
    """From a helper: no answer from your member yet, but I am here (Lifeguard)."""

    sequence: int


class Alive(NamedTuple):
    """A node's own word that it lives, as whoever knows it passes it on."""

    node_id: str
    generation: int
    tag: int
    incarnation: int
    address: Address
    metadata: Metadata


class Verdict(NamedTuple):
    """A claim that a node is suspect, failed, leaving or has left."""

    node_id: str
    generation: int
    incarnation: int
    status: Status
    accuser: str
    """Who says so: confirmations count distinct accusers. The node itself when it leaves."""


class PushPull(NamedTuple):
    """On a stream: last part of a frame that carries the sender's whole member table."""

    answer: bool
    """False: send me yours."""


class TableDigest(NamedTuple):
    """On a stream: what stands for the sender's whole member table. Last part of its frame."""

    digest: bytes
    answer: bool
    """True: yours is alike. False: tell me yours, or that it is."""
    beside: bytes = b""
    """Stands for what is held besides the table (``gossip.beside``)."""


class Identify(NamedTuple):
    """Who are you? From a process that finds its node id or its name claimed by whoever is there.
    The one message, with its answer, that processes of one node id exchange."""

    sequence: int
    generation: int
    """The asker's, and its tag: the one that is asked may have to yield."""
    tag: int
    address: Address
    """Where the asker can be asked back."""


class Identified(NamedTuple):
    """This is who I am. Never longer than the question."""

    sequence: int
    generation: int
    tag: int


class Watch(NamedTuple):
    """On a stream: keep it open, idle, so that its end tells whoever remains (``gossip.watch``).
    Answered by the same where it is kept."""


class Parting(IntEnum):
    """Why a watch stream is closed on purpose. The numbers are on the wire."""

    MOVED = 0
    """Another member is watched instead."""
    LEAVING = 1
    FULL = 2
    """As many watch streams are kept as may be."""


class Unwatch(NamedTuple):
    """On a watch stream: I close this on purpose; it means nothing about me."""

    reason: Parting


class Outcome(IntEnum):
    """What a knock at a member has shown. The numbers are on the wire."""

    REACHED = 0
    REFUSED = 1
    SILENT = 2


class Check(NamedTuple):
    """This life of a member was refused to me: knock there, and tell me what you see."""

    target: str
    generation: int


class Checked(NamedTuple):
    """What my own knock at that life of a member has shown."""

    target: str
    generation: int
    outcome: Outcome


Message = (
    Ping
    | Ack
    | PingRequest
    | Nack
    | Alive
    | Verdict
    | PushPull
    | TableDigest
    | Identify
    | Identified
    | Watch
    | Unwatch
    | Check
    | Checked
)

PROCESS = (SEQUENCE, fixed(1, limits.COUNTER_MAX), fixed(0, limits.TAG_MAX))

KINDS: Kinds = {
    1: (Ping, (SEQUENCE, integer(0, limits.CLOCK_MS_MAX))),
    2: (Ack, (SEQUENCE,)),
    3: (PingRequest, (SEQUENCE, NODE_ID)),
    4: (Nack, (SEQUENCE,)),
    5: (
        Alive,
        (
            NODE_ID,
            COUNTER,
            integer(0, limits.TAG_MAX),
            COUNTER,
            (list, read_address),
            (list, read_metadata),
        ),
    ),
    6: (Verdict, (NODE_ID, COUNTER, COUNTER, (int, read_status), NODE_ID)),
    13: (PushPull, ((bool, read_bool),)),
    17: (
        TableDigest,
        (
            (bytes, lambda raw: read_bytes(raw, TABLE_DIGEST_BYTES, TABLE_DIGEST_BYTES)),
            (bool, read_bool),
            (bytes, lambda raw: read_bytes(raw, 0, limits.BESIDE_BYTES_MAX)),
        ),
    ),
    30: (Identify, (*PROCESS, (list, read_address))),
    31: (Identified, PROCESS),
    20: (Watch, ()),
    21: (Unwatch, (one_of(Parting),)),
    22: (Check, (NODE_ID, COUNTER)),
    23: (Checked, (NODE_ID, COUNTER, one_of(Outcome))),
}
