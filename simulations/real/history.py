"""What clients did and saw, and what was done to the cluster meanwhile: a history.

A history is a file of JSON lines, each an operation, a window in which something was wrong on
purpose, or a calm in which nothing was. Times are seconds since the run began, by one clock.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

Kind = Literal["read", "write", "create", "delete", "document"]
Outcome = Literal["ok", "refused", "unknown", "failed"]
"""Of a write: done, certainly not done, either. Of a read: ``ok``, or ``failed`` for every other
answer and for none."""

WindowKind = Literal[
    "down", "worker", "queue", "paused", "agent", "authority", "isolated", "lossy", "disk", "clock"
]
EVERYWHERE = ""
NO_VALUE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request of one client, from before it was sent until its answer was read."""

    kind: Kind
    client: str
    node: str
    start: float
    end: float
    key: str
    """What was read or written: a register, or of the document its side (``document/a``)."""
    value: int = NO_VALUE
    """Written, or read: a register's and the document's count up from 1."""
    outcome: Outcome
    status: int = 0
    """HTTP's; 0 without an answer."""
    connection: int = 0
    """Of a read: each connection has its own number."""
    opened: float = 0.0
    """When that was opened."""
    revision: str = ""
    """``Grapevine-Revision`` of a write's answer."""
    fence: str = ""
    """``Grapevine-Fence`` of a write's answer."""
    minimum: int = NO_VALUE
    """Of a read: the value whose revision it asked for as ``Grapevine-Min-Revision``."""
    raced: bool = False
    """Of a write with If-Match: the one before it had an unknown outcome."""
    parts: tuple[str, ...] = ()
    """What each of the entities that served a request had to tell: equal, or it was a mix."""
    detail: str = ""
    """What went wrong, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time in which something is wrong on purpose.

    ``down``: the node's processes are dead, or not ready again. ``worker``: a worker was killed.
    ``queue``: what comes to that worker's socket waits until the next one has started.
    ``paused``: the node, or one of its workers, stands still; ``agent``: its supervisor alone does.
    ``authority``: the node (or all) can't be sure of the database. ``isolated``: gossip of the node
    suffers. ``lossy``: commits made meanwhile may be lost. ``disk``: the node's disk is full.
    ``clock``: its wall clock is wrong.
    """

    kind: WindowKind
    node: str
    """EVERYWHERE for all."""
    start: float
    end: float
    fault: str
    """What brought it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """After everything was healed: did the cluster come to one state in time?"""

    start: float
    end: float
    bound: float
    problem: str
    """Empty when it did; else what was still wrong when the time was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """What the authority holds at the end: names of what was created, and values."""

    names: tuple[str, ...]
    values: dict[str, int]
    served: dict[str, dict[str, int]] = field(default_factory=dict)
    """The same values as each node's proxy answers them, by node and key."""


@dataclass(slots=True)
class History:
    """Everything of one run, in the order in which it ended."""

    operations: list[Operation] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    calms: list[Calm] = field(default_factory=list)
    final: Final | None = None
    notes: list[str] = field(default_factory=list)
    """What the run itself found to be wrong, such as a process that doesn't end."""

    def add(self, entry: "Entry") -> None:
        match entry:
            case Operation():
                self.operations.append(entry)
            case Window():
                self.windows.append(entry)
            case Calm():
                self.calms.append(entry)
            case Final():
                self.final = entry
            case str():
                self.notes.append(entry)


Entry = Operation | Window | Calm | Final | str
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Operation, Window, Calm, Final)}


class Journal:
    """Keeps a history in memory, and in a file as it comes."""

    def __init__(self, file: TextIO) -> None:
        self.history = History()
        self._file = file

    def add(self, entry: Entry) -> None:
        self.history.add(entry)
        self._file.write(line(entry) + "\n")


def line(entry: Entry) -> str:
    """An entry as a line of the file, without what has its default."""
    if isinstance(entry, str):
        return json.dumps({"Note": entry})
    defaults: dict[str, Any] = {
        name: one.default for name, one in entry.__dataclass_fields__.items()
    }
    told = {name: value for name, value in asdict(entry).items() if value != defaults[name]}
    return json.dumps({type(entry).__name__: told}, separators=(",", ":"))


def read(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries of a file."""
    for text in lines:
        [(name, told)] = json.loads(text).items()
        if name == "Note":
            yield told
            continue
        for key in ("parts", "names"):
            if key in told:
                told[key] = tuple(told[key])
        entry: Entry = _KINDS[name](**told)
        yield entry


def load(path: Path) -> History:
    """The history in a file."""
    history = History()
    with path.open() as file:
        for entry in read(file):
            history.add(entry)
    return history
