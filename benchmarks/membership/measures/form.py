"""How long agents that start at once take to be one view.

The first agent is up; then all others start at the same time and join by it. The clock runs from
the moment that the last of them begins to join (its process is up: "gossip started" for Grapevine,
"agent: joining" for Serf, the line before `start()` for kinship) to the line by which everybody
sees everybody alive.
"""

from benchmarks.membership.cluster import running
from benchmarks.membership.plan import Plan, attempt, loopback
from benchmarks.membership.report import Goal, Report, Row
from benchmarks.membership.systems import System

GOAL = Goal(worst=0.4)


async def form(plan: Plan) -> Report:
    """Systems take turns, so that what else the machine does meets all of them."""
    report = Report(
        "form",
        "Form: the last agent's join to everybody seeing everybody alive, s",
        [Row(f"n{count}", f"N={count}", GOAL) for count in plan.nodes],
        plan.names,
    )
    for count in plan.nodes:
        for turn in range(max(plan.runs, plan.peer_runs)):
            for system in plan.systems:
                if turn < plan.runs_of(system):
                    await _once(report, system, count, turn)
    return report


async def _once(report: Report, system: System, count: int, turn: int) -> None:
    samples = report.samples(system.name, f"n{count}")

    async def work() -> None:
        async with running(system, loopback(), count) as cluster:
            samples.add(await cluster.form())

    if not await attempt(report, f"{system.name}, N={count}, run {turn + 1}", work):
        samples.add(None)
