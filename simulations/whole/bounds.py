"""P7 and P8: every queue and table of a node's core is within its bound, at any time.

The core's objects are walked, whatever they are: a table that somebody adds is looked at, too. What
has no bound of its own here has ``TABLE_MAX``, which no small cluster comes near unless it leaks.
"""

from collections import deque
from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedDict, SortedList

from gossip import limits
from gossip.counters import Counters

if TYPE_CHECKING:
    from simulations.node import Node

TABLE_MAX = 2_048
BOUNDS = {
    "Early": limits.EARLY_COUNT_MAX,
    "Prober": limits.PROBES_MAX,
    "Relaying": limits.RELAYS_MAX,
    "Refusals": limits.KNOCKS_MAX + limits.CASES_MAX,
    "Watches": limits.WATCH_RETRIES_MAX,
    "Streams": limits.STREAMS_OPENED_MAX + limits.STREAMS_ACCEPTED_MAX,
    "Contests": limits.CONTESTS_TOLD_MAX,
    "Strays": limits.STRAYS_MAX,
    "Fences": limits.FENCE_QUESTIONS_MAX,
    "FenceQuestions": limits.FENCE_QUESTIONS_MAX,
    "HistoryInquiry": limits.HISTORY_QUESTIONS_MAX,
    "Hints": limits.HINT_SOURCES_MAX,
    "Recent": limits.SENT_MAX,
}
"""By the class that holds them: the most that any table of it may hold."""
_LEAVES = str | bytes | bytearray | int | float | None
_TABLES = (dict, list, deque, set, SortedDict, SortedList)


def tables(core: object) -> Iterator[tuple[str, str, Sized]]:
    """All containers of a core: (class, attribute, container)."""
    seen: list[Any] = []
    waiting: list[Any] = [core]
    while waiting:
        one = waiting.pop()
        if any(one is other for other in seen):
            continue
        seen.append(one)
        for name, value in _attributes(one):
            if isinstance(value, _LEAVES | Counters):
                continue
            if isinstance(value, _TABLES):
                yield type(one).__name__, name, value
            elif type(value).__module__.startswith("gossip"):
                waiting.append(value)


def check_bounds(node: "Node") -> None:
    """Raises AssertionError."""
    for holder, name, table in tables(node.core):
        most = BOUNDS.get(holder, TABLE_MAX)
        where = f"P7: node {node.index} has {len(table)} in {holder}.{name}"
        assert len(table) <= most, f"{where}, of {most}"


def _attributes(one: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(one, "__dict__", {}).items()
    for kind in type(one).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(one, name):
                yield name, getattr(one, name)
