"""The channel between the agent and one worker: frames over a Unix stream socket.

A frame is a 4-byte big-endian length and a msgpack array ``[kind, …]``. The agent sends
``configure`` first, then the state as ``snapshot`` slices, then one ``changeset`` after another in
version order, a large one as ``part`` after ``part``, behind which nothing follows before the
worker serves it; ``listen`` when the start rule is met, to which the worker says ``listening`` once
its ports accept; ``drain`` to end. In between it sends
``audit``, which says what the worker must hold at that point of the stream. The worker sends
``ready`` once the first snapshot is applied, ``applied`` after each version it serves, ``differs``
when an audit finds something else, and ``stats`` each second. When the channel closes, the other
side is gone: a worker then closes its listening sockets at once, finishes its requests and exits
within 5 s.

Cold kinds (DESIGN 7) are in changesets but not in snapshots and parts: the worker looks them up in
the replica file, for which the agent vouches by ``kept``, and else sends ``ask``, to be ``told``.
What workers cache is forgotten at a ``purge``, and shown at a ``peek``.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack

from gossip.frames import FRAME_LENGTH, Frames, TooLarge
from node.shapes import Check, shape_of

FRAME_BYTES_MAX = 80 * 1024 * 1024

Version = tuple[int, int, int]
Change = tuple[str, str, str | None]
"""(kind, id, stored JSON text or None for a deletion)."""


class Configure(NamedTuple):
    """Agent to worker, once: everything the worker needs to know beside its sockets."""

    settings: dict[str, Any]
    """Fields of node.proxy.settings.ProxySettings."""


class Snapshot(NamedTuple):
    """Agent to worker: a slice of the whole state at ``version``; swapped in when ``last``.

    A ``first`` one begins anew: whatever slices came before lead to nothing.
    """

    version: Version
    changes: tuple[Change, ...]
    last: bool
    first: bool


class Apply(NamedTuple):
    """Agent to worker: one changeset, to be applied whole. Follows the version served before it."""

    version: Version
    changes: tuple[Change, ...]


class Part(NamedTuple):
    """Agent to worker: a slice of one large changeset, prepared beside what is served and swapped
    in whole when ``last``. A ``first`` one begins anew, and a snapshot takes its place."""

    version: Version
    changes: tuple[Change, ...]
    total: int
    """Changes in all parts together, at most."""
    last: bool
    first: bool


class Audit(NamedTuple):
    """Agent to worker: these are some of the entities that there are now, and so many there are of
    each kind."""

    rows: tuple[Change, ...]
    counts: dict[str, int]


class Listen(NamedTuple):
    """Agent to worker: start accepting connections."""


class Listening(NamedTuple):
    """Worker to agent: connections are accepted on every listener."""


class Drain(NamedTuple):
    """Agent to worker: stop accepting, close idle connections, finish requests, exit.

    ``seconds`` bounds the finishing; None means without bound.
    """

    seconds: float | None


class Kept(NamedTuple):
    """Agent to worker: what the replica file holds under this fill is of the history served, and
    is at least at this version."""

    fill: bytes
    version: Version


class Told(NamedTuple):
    """Agent to worker: the answer to ``ask``. ``version`` is None when the agent can't tell."""

    number: int
    version: Version | None
    rows: tuple[tuple[str, str], ...]
    """(id, stored text)."""


class Ask(NamedTuple):
    """Worker to agent: which entities of a cold kind have this value in ``field``: the id, a unique
    field or a reference."""

    number: int
    kind: str
    field: str
    value: str


class Purge(NamedTuple):
    """Agent to worker: forget this now, and again once you serve this version. Outside the order of
    changesets, which it may overtake."""

    cache: str
    by: int
    """A number of gossip.invalidation.By."""
    text: str
    version: Version


class Peek(NamedTuple):
    """Agent to worker: what is cached under this key?"""

    number: int
    key: str


class Peeked(NamedTuple):
    """Worker to agent: the answer to ``peek``."""

    number: int
    texts: tuple[str, ...] | None
    """JSON; None when nothing is."""


class Judged(NamedTuple):
    """Agent to worker: how addresses of targets stand now, whatever the worker has found."""

    states: tuple[tuple[str, str, str, int, int], ...]
    """Upstream id, target id, host, port, a number of node.proxy.health.counters.State."""


class Doubted(NamedTuple):
    """Agent to worker: another node has found this address unhealthy."""

    upstream_id: str
    target_id: str
    host: str
    port: int
    seconds: float
    """How long that counts."""


class Observed(NamedTuple):
    """Worker to agent: what came of requests to targets, as far as it may change their state."""

    results: tuple[tuple[str, str, str, int, int, bool], ...]
    """Upstream id, target id, host, port, a number of node.proxy.health.counters.Result, and
    whether one failure suffices because another node has found the address unhealthy."""


class Level(NamedTuple):
    """Agent to worker: log from this level on, a key of node.logs.LEVELS."""

    level: str


class Ready(NamedTuple):
    """Worker to agent: configured, and the first snapshot is served."""

    pid: int


class Applied(NamedTuple):
    """Worker to agent: this version is live in this worker (Unix seconds at ``at``)."""

    version: Version
    at: float


class Differs(NamedTuple):
    """Worker to agent: what it holds isn't what it was sent. Told once until it gets a state."""

    what: str


class Stats(NamedTuple):
    """Worker to agent, each second: counters by name; those in GAUGES are no sums over time."""

    counters: dict[str, int]


class Labelled(NamedTuple):
    """Worker to agent, each second: counters of metrics with labels (node.plugins.series), those
    that have changed, with their values."""

    counters: dict[str, int]


GAUGES = frozenset(
    (
        "connections_active",
        "connections_idle_upstream",
        "connections_reading",
        "connections_waiting",
        "connections_writing",
    )
)


Frame = (
    Configure
    | Snapshot
    | Apply
    | Part
    | Audit
    | Listen
    | Listening
    | Drain
    | Kept
    | Told
    | Purge
    | Peek
    | Judged
    | Doubted
    | Observed
    | Level
    | Ask
    | Peeked
    | Ready
    | Applied
    | Differs
    | Stats
    | Labelled
)

_KINDS: dict[str, type[Frame]] = {
    "configure": Configure,
    "snapshot": Snapshot,
    "changeset": Apply,
    "part": Part,
    "audit": Audit,
    "listen": Listen,
    "listening": Listening,
    "drain": Drain,
    "kept": Kept,
    "told": Told,
    "purge": Purge,
    "peek": Peek,
    "judged": Judged,
    "doubted": Doubted,
    "observed": Observed,
    "level": Level,
    "ask": Ask,
    "peeked": Peeked,
    "ready": Ready,
    "applied": Applied,
    "differs": Differs,
    "stats": Stats,
    "labelled": Labelled,
}
_NAMES = {frame: name for name, frame in _KINDS.items()}
_FROM_WORKERS = (Listening, Ask, Peeked, Observed, Ready, Applied, Differs, Stats, Labelled)
_SHAPES: dict[type[Frame], Check] = {frame: shape_of(frame) for frame in _FROM_WORKERS}
"""Plugins of anybody's run in workers, so that the agent looks at what it is told. What the agent
sends are large states, and its own."""


class ChannelError(Exception):
    """The other side sent what is no frame; the channel can't go on."""


def encode(frame: Frame) -> bytes:
    """The bytes of a frame, length included."""
    payload: bytes = msgpack.packb([_NAMES[type(frame)], *frame])
    return FRAME_LENGTH.pack(len(payload)) + payload


class Decoder:
    """Turns received bytes into frames."""

    def __init__(self) -> None:
        self._frames = Frames(FRAME_BYTES_MAX)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add bytes; yields each complete frame. Raises ChannelError on what is none."""
        self._frames.feed(data)
        try:
            while (payload := self._frames.next()) is not None:
                yield _decode(payload)
        except TooLarge as error:
            raise ChannelError(str(error)) from error


def _decode(payload: bytes) -> Frame:
    try:
        name, *values = msgpack.unpackb(payload, use_list=False, strict_map_key=False)
        frame = _KINDS[name](*values)
    except Exception as error:
        raise ChannelError(f"not a frame: {error}") from error
    shape = _SHAPES.get(type(frame))
    if shape is not None and not shape(frame):
        raise ChannelError(f"not a frame: values of a {name} that have other types")
    return frame
