"""What the view shows, as it stands at one moment: plain values, without a clock or a socket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

State = Literal["serving", "not ready", "no answer", "garbage", "not asked", "ended"]
"""What a node says of itself. ``garbage``: what it answers makes no sense; ``not asked``: nobody
has named its Admin API, or it had no time to answer yet; ``ended``: its process doesn't run (which
only those know who have started it)."""


class Place(NamedTuple):
    """A version as answers name it, without its tag."""

    epoch: int
    revision: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.revision}"


@dataclass(frozen=True, slots=True)
class Delays:
    """How long changesets of other nodes took to reach one, in seconds."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Sight:
    """One node."""

    name: str
    state: State
    problem: str = ""
    """Why it is not ``serving``, where that is known."""
    opinions: Mapping[str, int] = field(default_factory=dict)
    """Status in the cluster -> how many of the nodes that answer see it so."""
    version: Place | None = None
    """What it serves: as it says itself, else as others have heard."""
    requests: float | None = None
    """Answers to clients, a second."""
    errors: float | None = None
    """Of these, with a status of 500 or above."""
    change: float | None = None
    """Seconds that the latest change took to be served here; None while it isn't, or unknown."""
    delays: Delays | None = None
    side: str = ""
    """Of the partition that it is on; empty without one."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that does something."""

    key: str
    what: str
    obstacle: str = ""
    """Why it does nothing now; empty when it does."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A cluster at one moment."""

    title: str
    clock: str
    """The time, as text."""
    nodes: tuple[Sight, ...]
    latest: str = ""
    """The revision that ``Sight.change`` is about."""
    lines: tuple[str, ...] = ()
    """What has happened, the latest last."""
    keys: tuple[Key, ...] = ()
    selected: str = ""
    """Name of the node that keys are about."""
    notice: str = ""
    """What the last key has done, or why it couldn't."""

    def head(self) -> Place | None:
        """The newest version that any node serves."""
        return max((node.version for node in self.nodes if node.version is not None), default=None)


def lag(version: Place | None, head: Place | None) -> str:
    """How far a node is behind: revisions; ``epoch`` when it serves one of another epoch."""
    if version is None or head is None:
        return "-"
    if version.epoch != head.epoch:
        return "epoch"
    return str(head.revision - version.revision)
