"""Verdicts about members that are well: under load, beside a stopped one, with packets lost.

Counted are verdicts `failed` and suspicions, a word of one observer about one member each, during
the strain and shortly after it. A member that is stopped by a signal is not well: what is said of
it is a row of its own. Serf tells of a suspicion at the accuser only, the others wherever it is
heard, so those counts compare with zero rather than with each other.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.membership.cluster import Cluster, formed, running
from benchmarks.membership.grounds import Ground, OwnLoopback
from benchmarks.membership.load import busy
from benchmarks.membership.plan import Plan, attempt, loopback
from benchmarks.membership.report import Goal, Report, Row
from benchmarks.membership.systems import System
from benchmarks.membership.views import DEAD

SETTLE_SECONDS = 10.0
AFTER_SECONDS = 10.0
"""A suspicion that the strain has raised may end in a verdict this much later."""
STOP_SECONDS = 5.0
LOSS = 0.01
NONE = Goal(worst=0.0)


@dataclass(frozen=True, slots=True)
class _Case:
    key: str
    title: str
    seconds: float
    strain: Callable[[Cluster, Ground, float, int], Awaitable[None]]
    suspicions: Goal | None = None
    prefix: tuple[str, ...] = ()
    own_loopback: bool = False
    stops: bool = False


async def false_deaths(plan: Plan) -> Report:
    """A cluster for each system, size and case. ``plan.seconds`` is a case's strain; half of it
    at nice 19."""
    cases = _cases(plan.seconds)
    rows = [row for count in plan.nodes for case in cases for row in _rows(case, count)]
    report = Report("false-deaths", "Words against members that are well", rows, plan.names)
    for count in plan.nodes:
        for case in cases:
            for system in plan.systems:
                await _once(report, plan, system, case, count)
    return report


def _cases(seconds: float) -> tuple[_Case, ...]:
    return (
        _Case("saturated", "2 busy loops a core", seconds, _saturated, NONE),
        _Case(
            *("nice", "agents at nice 19, 4 busy loops a core", seconds / 2, _outranked),
            prefix=("nice", "-n", "19"),
        ),
        _Case("stopped", "one stopped 5 s of every 10", seconds, _stopping, stops=True),
        _Case("loss", "1 % of packets lost", seconds, _losing, own_loopback=True),
    )


def _rows(case: _Case, count: int) -> list[Row]:
    title = f"N={count}, {case.title} ({case.seconds:g} s)"
    rows = [
        Row(f"deaths_{case.key}_{count}", f"{title}: failed", NONE, digits=0),
        Row(f"suspicions_{case.key}_{count}", f"{title}: suspect", case.suspicions, digits=0),
    ]
    if case.stops:
        rows += [
            Row(f"stopped_failed_{count}", f"{title}: failed, of the stopped one", digits=0),
            Row(f"stopped_suspect_{count}", f"{title}: suspect, of the stopped one", digits=0),
        ]
    return rows


async def _once(report: Report, plan: Plan, system: System, case: _Case, count: int) -> None:
    async def work() -> None:
        ground = OwnLoopback() if case.own_loopback else loopback()
        async with running(system, ground, count, prefix=case.prefix) as cluster:
            await formed(cluster, SETTLE_SECONDS)
            mark = len(cluster.views.history)
            stopped = plan.rng.choice(cluster.numbers)
            await case.strain(cluster, ground, case.seconds, stopped)
            await cluster.quiet(AFTER_SECONDS)
            sick = cluster.name(stopped) if case.stops else ""
            heard = cluster.views.history[mark:]
            well = [word for word in heard if word.subject != sick]
            figures = {
                f"deaths_{case.key}_{count}": sum(word.kind in DEAD for word in well),
                f"suspicions_{case.key}_{count}": sum(word.kind == "suspect" for word in well),
            }
            if case.stops:
                kinds = [word.kind for word in heard if word.subject == sick]
                figures[f"stopped_failed_{count}"] = sum(kind in DEAD for kind in kinds)
                figures[f"stopped_suspect_{count}"] = kinds.count("suspect")
            for key, value in figures.items():
                report.samples(system.name, key).add(value)

    await attempt(report, f"{system.name}, N={count}, {case.title}", work)


async def _saturated(cluster: Cluster, ground: Ground, seconds: float, _: int) -> None:
    async with busy(2 * (os.cpu_count() or 1)):
        await cluster.quiet(seconds)


async def _outranked(cluster: Cluster, ground: Ground, seconds: float, _: int) -> None:
    async with busy(4 * (os.cpu_count() or 1)):
        await cluster.quiet(seconds)


async def _stopping(cluster: Cluster, ground: Ground, seconds: float, victim: int) -> None:
    while seconds > 0:
        cluster.signal(victim, signal.SIGSTOP)
        await cluster.quiet(STOP_SECONDS)
        cluster.signal(victim, signal.SIGCONT)
        await cluster.quiet(STOP_SECONDS)
        seconds -= 2 * STOP_SECONDS


async def _losing(cluster: Cluster, ground: Ground, seconds: float, _: int) -> None:
    assert isinstance(ground, OwnLoopback)
    await ground.lose(LOSS)
    await cluster.quiet(seconds)
