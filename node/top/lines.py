"""What happens in a cluster, a line an event, put together from what every node reports."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from node.logs import escape
from node.top.limits import (
    MEMBERS_MAX,
    NAME_CHARS_MAX,
    REVISIONS_KEPT_MAX,
    SECONDS_MAX,
    SETTLE_SECONDS,
    TEXT_CHARS_MAX,
)


@dataclass(slots=True)
class _Change:
    first_seen: float
    origin: str
    committed_at: float
    what: str
    arrivals: dict[str, float] = field(default_factory=dict)


class Lines:
    """Takes events as the nodes report them and prints lines; knows no clock and no socket.

    ``names`` maps node ids to names as they become known.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._names: dict[str, str] = {}
        self._running: set[str] = set()
        self._status: dict[str, str] = {}
        self._changes: dict[str, _Change] = {}
        self._printed: dict[str, None] = {}
        self.latest = ""
        """The revision of the change that was reported last."""
        self.arrivals: dict[str, float] = {}
        """Seconds from its commit until each node served it."""

    def node_is(self, name: str, running: bool) -> None:
        """Note whether a node's process runs, and so whether a change will reach it."""
        (self._running.add if running else self._running.discard)(name)

    def member(self, member_id: str, name: str, status: str, observer: str, at: float) -> None:
        """A member's status, as ``observer`` sees it; printed when it is news to the view."""
        name = name[:NAME_CHARS_MAX]
        if member_id not in self._names and len(self._names) >= MEMBERS_MAX:
            return
        self._names[member_id] = name
        if self._status.get(member_id) == status:
            return
        self._status[member_id] = status
        self._line(at, "member", f"{name} is {status}", f"says {observer}")

    def event(self, observer: str, event: Mapping[str, Any]) -> None:
        """One event from a node's /cluster/events."""
        if event["type"] == "member":
            self.member(event["id"], event["name"], event["status"], observer, event["at"])
        elif event["type"] == "revision":
            self._revision(observer, event)
        elif event["type"] == "dropped":
            self._line(event["at"], "view", f"{event['count']} events of {observer} were missed")

    def tick(self, now: float) -> None:
        """Print changes that some node has not reported in time."""
        late = [
            revision
            for revision, change in self._changes.items()
            if now - change.first_seen > SETTLE_SECONDS
        ]
        for revision in late:
            self._print_change(revision)

    def _revision(self, observer: str, event: Mapping[str, Any]) -> None:
        revision = event["revision"]
        if revision in self._printed:
            if revision == self.latest:
                self.arrivals[observer] = event["at"] - event["committed_at"]
            return
        change = self._changes.get(revision)
        if change is None:
            change = self._changes[revision] = _Change(
                event["at"], event["origin"], event["committed_at"], _summary(event["changes"])
            )
            while len(self._changes) > REVISIONS_KEPT_MAX:
                self._print_change(next(iter(self._changes)))
            self.latest, self.arrivals = revision, {}
        change.arrivals[observer] = event["at"]
        if revision == self.latest:
            self.arrivals[observer] = event["at"] - change.committed_at
        if self._running <= change.arrivals.keys():
            self._print_change(revision)

    def _print_change(self, revision: str) -> None:
        change = self._changes.pop(revision)
        self._printed[revision] = None
        while len(self._printed) > REVISIONS_KEPT_MAX:
            del self._printed[next(iter(self._printed))]
        origin = self._names.get(change.origin, change.origin or "a tool")
        times = [
            f"{name} {(change.arrivals[name] - change.committed_at) * 1000:.1f} ms"
            for name in sorted(change.arrivals)
        ]
        times += [f"{name} not yet" for name in sorted(self._running - change.arrivals.keys())]
        self._line(
            change.committed_at, "change", f"{revision} {change.what} by {origin}", ", ".join(times)
        )

    def _line(self, at: float, kind: str, what: str, detail: str = "") -> None:
        time = datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
        self._write(escape(f"{time}  {kind:<7} {what}" + (f" ({detail})" if detail else "")))


def _summary(changes: list[list[str]]) -> str:
    shown = " ".join(f"{operation} {kind}/{name}" for operation, kind, name in changes[:3])
    return shown[:TEXT_CHARS_MAX] + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")


def parse_event(line: bytes) -> dict[str, Any] | None:
    """An event from one line of a server-sent event stream; None for every other line.

    Raises ValueError for what is none.
    """
    if not line.startswith(b"data:"):
        return None
    try:
        event = json.loads(line[5:])
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise ValueError("no event")
    for name in _FIELDS.get(event["type"], ()):
        if not _is_as_it_should_be(name, event.get(name)):
            raise ValueError(f"an event's {name} makes no sense")
    return event


_FIELDS = {
    "member": ("id", "name", "status", "at"),
    "revision": ("revision", "origin", "at", "committed_at", "changes"),
    "dropped": ("at", "count"),
}


def _is_as_it_should_be(name: str, value: Any) -> bool:
    if name == "changes":
        return isinstance(value, list) and all(
            isinstance(change, list) and len(change) == 3 for change in value
        )
    if name in ("at", "committed_at", "count"):
        return isinstance(value, int | float) and 0 <= value < SECONDS_MAX
    return isinstance(value, str) and len(value) <= TEXT_CHARS_MAX
