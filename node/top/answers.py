"""Reading what a node answers: the members that it lists, and its metrics.

The view outlives whatever is at the other end, so everything that isn't as it should be is one
error, Garbled, and what there is too much of is passed over.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

from node.logs import escape
from node.top.limits import MEMBERS_MAX, NAME_CHARS_MAX
from node.top.snapshot import Delays, Place
from store.version import parse_version

_RESPONSES = "grapevine_proxy_responses_total{"
_GAUGES = ("grapevine_ready", "grapevine_epoch", "grapevine_revision")


class Garbled(Exception):
    """An answer that no node gives; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member as one node sees it."""

    id: str
    name: str
    status: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Listing:
    """``GET /cluster``."""

    members: tuple[Member, ...]
    """The node itself comes first."""
    delays: Delays | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What ``GET /metrics`` counts, since the node's start."""

    ready: bool
    place: Place
    responses: float
    errors: float


def read_listing(body: bytes) -> Listing:
    """The answer to ``GET /cluster``. Raises Garbled."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise Garbled("/cluster isn't JSON") from None
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not rows:
        raise Garbled("/cluster lists no members")
    members = tuple(_member(row) for row in rows[:MEMBERS_MAX])
    return Listing(members, _delays(answer.get("propagation")))


def read_numbers(body: bytes) -> Numbers:
    """The answer to ``GET /metrics``. Raises Garbled."""
    gauges: dict[str, float] = {}
    responses = errors = 0.0
    for line in body.decode(errors="replace").splitlines():
        if line.startswith(_RESPONSES):
            value = _number(line.rpartition(" ")[2])
            responses += value
            errors += value if '"5xx"' in line else 0.0
        elif line.startswith(_GAUGES):
            name, _, value_text = line.partition(" ")
            gauges[name] = _number(value_text)
    try:
        ready, epoch, revision = (gauges[name] for name in _GAUGES)
    except KeyError as error:
        raise Garbled(f"/metrics has no {error.args[0]}") from None
    return Numbers(ready == 1, Place(int(epoch), int(revision)), responses, errors)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Garbled("/metrics has a value that is no number")
    return value


def _member(row: Any) -> Member:
    if not isinstance(row, dict):
        raise Garbled("/cluster lists something that is no member")
    identifier, name, status = (row.get(key) for key in ("id", "name", "status"))
    if not (isinstance(identifier, str) and isinstance(name, str) and isinstance(status, str)):
        raise Garbled("/cluster lists a member without id, name or status")
    return Member(_text(identifier), _text(name), _text(status), _place(row.get("revision")))


def _text(text: str) -> str:
    return escape(text[:NAME_CHARS_MAX])


def _place(text: Any) -> Place | None:
    if not isinstance(text, str):
        return None
    try:
        return Place(*parse_version(text.partition("-")[0]))
    except ValueError:
        return None


def _delays(summary: Any) -> Delays | None:
    if not isinstance(summary, dict):
        return None
    p50, p99 = summary.get("p50"), summary.get("p99")
    if not isinstance(p50, int | float) or not isinstance(p99, int | float):
        return None
    return Delays(p50, p99) if math.isfinite(p50 + p99) else None
