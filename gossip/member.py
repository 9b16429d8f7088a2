"""A member of the cluster: what is known about it here, and what others are shown."""

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple

from gossip import limits
from gossip.address import Address
from gossip.identity import WireId, wire_id
from gossip.replica import Version
from gossip.suspicion import Suspicion


class Status(IntEnum):
    """A member's state. The numbers are on the wire, and rank claims of one incarnation."""

    ALIVE = 0
    SUSPECT = 1
    FAILED = 2
    LEAVING = 3
    LEFT = 4

    @property
    def label(self) -> str:
        """The name in the API, the CLI and the metrics."""
        return _LABELS[self]


_LABELS = ("alive", "suspect", "failed", "leaving", "left")
assert [status.name.lower() for status in Status] == [*_LABELS]

RUNNING = frozenset({Status.ALIVE, Status.SUSPECT, Status.LEAVING})
"""Who is sent to, and counts in the formulas."""


Path = Literal["udp", "tcp"]
"""What reaches a member: packets, or streams alone."""


class Metadata(NamedTuple):
    """What a node tells the others about itself. Texts; sizes in ``gossip.limits``, in UTF-8."""

    name: str
    role: str
    zone: str
    version: str
    """Software version."""
    proxy: str
    """Where it proxies, ``host:port``; empty when it doesn't."""
    admin: str
    """Where its Admin API listens, ``host:port``; empty when it has none."""
    authority: str = ""
    """Id of the authority that its replica is a copy of; empty while it knows none."""


METADATA_BYTES_MAX = (
    limits.NAME_BYTES_MAX,
    limits.ROLE_BYTES_MAX,
    limits.ZONE_BYTES_MAX,
    limits.SOFTWARE_BYTES_MAX,
    limits.ENDPOINT_BYTES_MAX,
    limits.ENDPOINT_BYTES_MAX,
    limits.AUTHORITY_BYTES_MAX,
)
"""In the order of Metadata's fields."""


def check_metadata(metadata: Metadata) -> None:
    """Raises ValueError naming the field that is too long to be told to others."""
    for name, text, limit in zip(Metadata._fields, metadata, METADATA_BYTES_MAX, strict=True):
        size = len(text.encode())
        if size > limit:
            raise ValueError(f"member {name} '{text[:40]}…' has {size} bytes; {limit} are allowed")


class Precedence(NamedTuple):
    """What decides between two claims about one node: the greater one holds."""

    generation: int
    incarnation: int
    status: Status


@dataclass(slots=True, eq=False)
class Member:
    """The record of one node. Owned and changed by ``gossip.members.Members`` alone, but for
    ``serving``, ``rtt``, ``path``, ``stream_only``, ``keyring``, ``heard_at`` and
    ``record_asked_at``: observations, not claims."""

    node_id: str
    generation: int
    tag: int
    incarnation: int
    status: Status
    address: Address
    metadata: Metadata
    status_since: float
    suspicion: Suspicion | None = None
    serving: Version | None = None
    """The newest version it told that it serves."""
    rtt: float | None = None
    """Smoothed round trip of direct probes, seconds."""
    keyring: int | None = None
    """The counter of the keyring that it told last."""
    heard_at: float | None = None
    """When something came from it last, directly."""
    path: Path | None = None
    """What answered the last probes; None before the first answer."""
    stream_only: int = 0
    """For how much the probes count that only a stream answered, since the last packet."""
    record_asked_at: float = -math.inf
    """When it was last asked for a newer record than the one held."""
    wire: WireId = field(init=False)
    """Who it is in the envelopes of its packets."""

    def __post_init__(self) -> None:
        self.wire = wire_id(self.node_id)

    @property
    def precedence(self) -> Precedence:
        return Precedence(self.generation, self.incarnation, self.status)


def record_mark(member: Member) -> int:
    """From 1 to 127; another one whenever a node gives out a new record of itself."""
    return 1 + (31 * member.generation + member.incarnation) % 127


class MemberView(NamedTuple):
    """What the API, the CLI and events show of a member. Never changes."""

    id: str
    name: str
    address: Address
    status: str
    """``alive``, ``suspect``, ``failed``, ``leaving`` or ``left``."""
    role: str
    version: str
    zone: str
    incarnation: int
    generation: int
    serving: Version | None
    """The newest version heard from it; its own for this node. None before the first, and in
    events about this node."""
    rtt: float | None
    """Smoothed round trip, seconds; None before the first direct answer."""
    keyring: int | None
    """The counter of its keyring, told last; None before the first heartbeat."""
    path: Path | None
    """``udp``, or ``tcp`` while packets are lost and only streams get through; None before its
    first answer to a probe, and for this node."""
    proxy: str
    admin: str
    is_self: bool
    heard: float | None
    """Seconds since something came from it directly. None before that, in events, and for this
    node."""


def view(member: Member, *, is_self: bool, now: float | None = None) -> MemberView:
    """What is shown of a member."""
    data = member.metadata
    return MemberView(
        id=member.node_id,
        name=data.name,
        address=member.address,
        status=member.status.label,
        role=data.role,
        version=data.version,
        zone=data.zone,
        incarnation=member.incarnation,
        generation=member.generation,
        serving=member.serving,
        rtt=member.rtt,
        keyring=member.keyring,
        path=member.path,
        proxy=data.proxy,
        admin=data.admin,
        is_self=is_self,
        heard=None if now is None or member.heard_at is None else now - member.heard_at,
    )
