"""What a history shows: each promise as a function that names what breaks it.

There is no clock and no network here; the same history has the same verdict.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simulations.real.history import NO_VALUE, History, Operation
from simulations.real.windows import Windows

VIOLATIONS_MAX = 20
"""Of a rule so many are spelled out; all are counted."""

FAILED_SECONDS = 40.0
"""Members that failed 30 s ago no longer count for a fence; some more until that is noticed."""

Rule = Callable[["Case"], Iterator[str]]


@dataclass(slots=True)
class Case:
    """A history, and what several rules ask of it."""

    history: History
    windows: Windows
    nodes: tuple[str, ...]
    reads: list[Operation] = field(default_factory=list)
    """Those that were answered with a value, by their end."""
    writes: dict[str, list[Operation]] = field(default_factory=dict)
    """Of registers and of the document, by key, in the order of their values."""
    lost: int = 0
    """Writes that were acknowledged and aren't there at the end; set by ``lost_writes``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, by rule, and counts."""

    violations: dict[str, list[str]]
    counts: dict[str, int]
    excused: dict[str, int]
    """Operations that weren't done, by the fault that explains it."""

    @property
    def ok(self) -> bool:
        return not self.violations


def check(history: History, nodes: tuple[str, ...]) -> Verdict:
    """Judge a history of a cluster of these nodes."""
    case = Case(history, Windows(history.windows), nodes)
    writes = defaultdict(list)
    for operation in history.operations:
        if operation.kind == "read" and operation.outcome == "ok":
            case.reads.append(operation)
        elif operation.kind in ("write", "document"):
            writes[group(operation.key)].append(operation)
    for key, some in writes.items():
        case.writes[key] = sorted(some, key=lambda write: write.value)
    violations = {}
    for name, rule in RULES.items():
        found = list(rule(case))
        if found:
            more = [f"… and {len(found) - VIOLATIONS_MAX} more"] if found[VIOLATIONS_MAX:] else []
            violations[name] = found[:VIOLATIONS_MAX] + more
    return Verdict(violations, _counts(case), _excused(case))


def group(key: str) -> str:
    """Keys of one group are written together: the two sides of the document are."""
    return key.partition("/")[0]


def committed_writes_are_there(case: Case) -> Iterator[str]:
    """What was acknowledged is in the authority at the end, unless a fault may lose commits."""
    final = case.history.final
    if final is None:
        yield "nobody could say what the authority holds at the end"
        return
    names = set(final.names)
    gone = {
        operation.key
        for operation in case.history.operations
        if operation.kind == "delete" and operation.outcome != "refused"
    }
    for operation in case.history.operations:
        if operation.outcome != "ok" or operation.kind not in ("create", "delete"):
            continue
        if (operation.key in names) == (operation.kind == "create"):
            continue
        if operation.kind == "create" and operation.key in gone:
            continue
        case.lost += 1
        if not case.windows.lost_between(operation.start, operation.end):
            yield f"{operation.kind} of {operation.key} at {operation.end:.3f} is lost"


def refused_writes_are_not_there(case: Case) -> Iterator[str]:
    """What was answered as not done isn't found, at the end or by anybody who reads."""
    names = set(case.history.final.names) if case.history.final else set()
    for operation in case.history.operations:
        if operation.kind == "create" and operation.outcome == "refused" and operation.key in names:
            yield f"{operation.key} is there, but {operation.status} was answered"
    written = {key: _written(writes) for key, writes in case.writes.items()}
    for read in case.reads:
        write = written.get(group(read.key), {}).get(read.value)
        if write is None or write.start > read.end:
            yield f"{_told(read)}: nobody has written that"
        elif write.refused:
            yield f"{_told(read)}: that write was refused"


@dataclass(frozen=True, slots=True)
class _Written:
    """A value, by all attempts to write it."""

    start: float
    refused: bool


def _written(writes: list[Operation]) -> dict[int, _Written]:
    by_value: dict[int, _Written] = {}
    for write in writes:
        refused = write.outcome == "refused"
        so_far = by_value.get(write.value, _Written(write.start, refused))
        by_value[write.value] = _Written(min(so_far.start, write.start), so_far.refused and refused)
    return by_value


def last_values_stand(case: Case) -> Iterator[str]:
    """At the end a key has the last value acknowledged, or one of unknown outcome since."""
    final = case.history.final
    for key, writes in case.writes.items():
        if final is None or key not in final.values:
            continue
        value = final.values[key]
        possible: set[int] = set()
        for write in writes:
            if write.outcome == "ok":
                if case.windows.lost_between(write.start, write.end):
                    possible.add(write.value)
                else:
                    possible = {write.value}
            elif write.outcome == "unknown":
                possible.add(write.value)
        if value not in possible:
            yield f"{key} is {value} at the end, not one of {sorted(possible)[-5:]}"


def all_serve_the_same(case: Case) -> Iterator[str]:
    """At the end every node serves what the authority holds."""
    final = case.history.final
    for node, served in (final.served if final else {}).items():
        for key, value in served.items():
            wanted = final.values.get(group(key)) if final else None
            if value != wanted:
                yield f"{node} serves {value} of {key}, the authority holds {wanted}"


def connections_never_go_back(case: Case) -> Iterator[str]:
    """On one connection, what is read of a key never grows older."""
    seen: dict[tuple[int, str], Operation] = {}
    for read in case.reads:
        place = (read.connection, group(read.key))
        before = seen.get(place)
        seen[place] = read
        if before is None or read.value >= before.value:
            continue
        if not case.windows.lost_between(before.start, read.end):
            yield f"{_told(read)} after {before.value} on the same connection"


def nothing_is_mixed(case: Case) -> Iterator[str]:
    """The entities that serve one request are of one version."""
    for read in case.reads:
        if len(set(read.parts)) > 1:
            yield f"{_told(read)}: {' beside '.join(read.parts)}"


def fences_hold(case: Case) -> Iterator[str]:
    """A request that begins after a complete fence is answered by what was fenced, or newer."""
    for key, writes in case.writes.items():
        fenced = sorted(
            (write for write in writes if write.outcome == "ok" and write.fence),
            key=lambda write: write.end,
        )
        reads = [read for read in case.reads if group(read.key) == key]
        reads.sort(key=lambda read: read.start)
        best: dict[str, Operation] = {}
        turn = 0
        for read in reads:
            while turn < len(fenced) and fenced[turn].end <= read.start:
                for node in _named(case, fenced[turn]):
                    if node not in best or best[node].value < fenced[turn].value:
                        best[node] = fenced[turn]
                turn += 1
            fence = best.get(read.node)
            if fence is None or read.value >= fence.value:
                continue
            if case.windows.lost_between(fence.start, read.end):
                continue
            yield f"{_told(read)}: {fence.value} was fenced at {fence.end:.3f} ({fence.fence})"


def _named(case: Case, write: Operation) -> list[str]:
    """The nodes that a fence says have the write."""
    state, _, rest = write.fence.partition(";")
    told = dict(part.strip().partition("=")[::2] for part in rest.split(";"))
    if state == "complete":
        missing: set[str] = set()
        whole = told.get("members") == str(len(case.nodes))
    else:
        missing = {*told.get("missing", "").split(","), *told.get("unreachable", "").split(",")}
        whole = False
    # Who isn't counted among the members isn't named: those that weren't well lately may be it.
    return [
        node
        for node in case.nodes
        if node not in missing
        and (whole or not case.windows.unwell(node, write.start - FAILED_SECONDS, write.end))
    ]


def least_revisions_are_kept(case: Case) -> Iterator[str]:
    """A request with ``Grapevine-Min-Revision`` is answered at that revision, or after it."""
    for read in case.reads:
        if read.minimum == NO_VALUE or read.value >= read.minimum:
            continue
        if not case.windows.lost_between(read.start - FAILED_SECONDS, read.end):
            yield f"{_told(read)}: asked for {read.minimum} at least"


def revisions_follow_time(case: Case) -> Iterator[str]:
    """A write that begins after another has ended has a higher revision."""
    done = [
        operation
        for operation in case.history.operations
        if operation.kind != "read" and operation.outcome == "ok" and operation.revision
    ]
    by_end = sorted(done, key=lambda write: write.end)
    highest: Operation | None = None
    turn = 0
    for write in sorted(done, key=lambda write: write.start):
        while turn < len(by_end) and by_end[turn].end <= write.start:
            if highest is None or _ordered(by_end[turn]) > _ordered(highest):
                highest = by_end[turn]
            turn += 1
        if highest is None or _ordered(write) > _ordered(highest):
            continue
        if write.kind == "delete" and _ordered(write) == _ordered(highest):
            continue  # what wasn't there any more: nothing is written, the head is told
        if not case.windows.lost_between(highest.start, write.end):
            yield (
                f"{write.kind} of {write.key} at {write.start:.3f} is {write.revision}, after"
                f" {highest.revision} was told at {highest.end:.3f}"
            )


def _ordered(write: Operation) -> tuple[int, int]:
    epoch, _, revision = write.revision.partition("-")[0].partition(".")
    return int(epoch), int(revision)


def failures_are_explained(case: Case) -> Iterator[str]:
    """No request and no write fails that no fault explains."""
    for operation in case.history.operations:
        if operation.outcome != "ok" and case.windows.excuse(operation) is None:
            what = operation.status or "no answer"
            yield (
                f"{operation.kind} of {operation.key} on {operation.node}, {operation.start:.3f} to"
                f" {operation.end:.3f}: {what} {operation.detail}"
            )


def calms_converge(case: Case) -> Iterator[str]:
    """Once healed, all nodes are alive in every view, at one revision with one state, in time."""
    for calm in case.history.calms:
        if calm.problem:
            yield f"at {calm.end:.1f}, {calm.bound:g} s after all was healed: {calm.problem}"


def nothing_was_noted(case: Case) -> Iterator[str]:
    """The run itself met nothing that must not be."""
    yield from case.history.notes


RULES: dict[str, Rule] = {
    "a committed write is lost": committed_writes_are_there,
    "a refused write is there": refused_writes_are_not_there,
    "a last value doesn't stand": last_values_stand,
    "a node serves something else": all_serve_the_same,
    "a connection goes back": connections_never_go_back,
    "a mix is served": nothing_is_mixed,
    "a fence is broken": fences_hold,
    "a least revision isn't kept": least_revisions_are_kept,
    "revisions don't follow time": revisions_follow_time,
    "a failure isn't explained": failures_are_explained,
    "a calm doesn't converge": calms_converge,
    "noted": nothing_was_noted,
}


def _told(read: Operation) -> str:
    return f"{read.client} read {read.value} of {read.key} on {read.node} at {read.start:.3f}"


def _counts(case: Case) -> dict[str, int]:
    operations = case.history.operations
    by: Counter[str] = Counter()
    for operation in operations:
        of = "requests" if operation.kind == "read" else "writes"
        by[of] += 1
        if operation.outcome != "ok":
            by[f"{of} {operation.outcome}"] += 1
            if case.windows.excuse(operation) is None:
                by["failures not explained"] += 1
        if operation.fence:
            by[f"fences {operation.fence.partition(';')[0]}"] += 1
        by["requests with a least revision"] += operation.minimum != NO_VALUE
    by["writes lost"] = case.lost
    by["calms"] = len(case.history.calms)
    return dict(by)


def _excused(case: Case) -> dict[str, int]:
    by: Counter[str] = Counter()
    for operation in case.history.operations:
        if operation.outcome != "ok":
            by[case.windows.excuse(operation) or "nothing"] += 1
    return dict(by)
