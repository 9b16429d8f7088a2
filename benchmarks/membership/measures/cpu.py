"""What an idle agent takes of the processor and of memory: all its processes together.

Time is the processes' own clocks (user and system, threads that have ended included). PSS counts
shared pages by their share, RSS wholly.
"""

import time
from pathlib import Path

from benchmarks.idle import descendants
from benchmarks.membership.cluster import Cluster, formed, running
from benchmarks.membership.plan import Plan, attempt, loopback
from benchmarks.membership.report import Goal, Report, Row
from benchmarks.membership.systems import System

GOAL = Goal(middle=200.0)
_PROCESS_CLOCK = 2  # CPUCLOCK_SCHED: what clock_getcpuclockid(3) puts into its answer


async def cpu(plan: Plan) -> Report:
    """A cluster for each system and size, in clear."""
    report = Report(
        "cpu",
        f"Idle for {plan.seconds:g} s after {plan.settle:g} s: an agent's processor time and "
        "memory, median (least - most of an agent)",
        _rows(plan.nodes),
        plan.names,
    )
    for count in plan.nodes:
        for system in plan.systems:
            await _once(report, plan, system, count)
    return report


def _rows(sizes: tuple[int, ...]) -> list[Row]:
    rows = []
    for count in sizes:
        rows += [
            Row(f"ms_per_minute_{count}", f"N={count}: ms a minute", GOAL, digits=0),
            Row(f"pss_{count}", f"N={count}: PSS, MiB", digits=1),
            Row(f"rss_{count}", f"N={count}: RSS, MiB", digits=1),
            Row(f"processes_{count}", f"N={count}: processes", digits=0),
        ]
    return rows


async def _once(report: Report, plan: Plan, system: System, count: int) -> None:
    async def work() -> None:
        async with running(system, loopback(), count) as cluster:
            await formed(cluster, plan.settle)
            before, began = _used(cluster), time.monotonic()
            await cluster.quiet(plan.seconds)
            after, minutes = _used(cluster), (time.monotonic() - began) / 60.0
            for pid, seconds in after.items():
                spent = 1000.0 * (seconds - before[pid]) / minutes
                report.samples(system.name, f"ms_per_minute_{count}").add(spent)
                processes = descendants(pid)
                for what, field in (("pss", "Pss:"), ("rss", "Rss:")):
                    size = sum(_mib(process, field) for process in processes)
                    report.samples(system.name, f"{what}_{count}").add(size)
                report.samples(system.name, f"processes_{count}").add(len(processes))

    await attempt(report, f"{system.name}, N={count}", work)


def _used(cluster: Cluster) -> dict[int, float]:
    """Seconds of processor time by agent."""
    return {pid: sum(map(_processor_seconds, descendants(pid))) for pid in cluster.pids()}


def _processor_seconds(pid: int) -> float:
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


def _mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no line {field}")
