"""How soon all views are whole again after a cluster was cut in two.

Each agent is a host of its own; the cable between two halves drops everything but ARP for the time
of the cut, and then lets it pass again.
"""

import time

from benchmarks.membership.cluster import Cluster, formed, running
from benchmarks.membership.grounds import Hosts
from benchmarks.membership.plan import Plan, attempt, tell
from benchmarks.membership.report import Goal, Report, Row
from benchmarks.membership.systems import System
from benchmarks.membership.views import DEAD, AgentsFailed

SETTLE_SECONDS = 10.0
WHOLE_SECONDS_MAX = 300.0
GOAL = Goal(worst=6.0)


async def heal(plan: Plan) -> Report:
    """A cluster for each system and size, encrypted, all cuts in it, of ``plan.seconds`` each."""
    report = Report(
        "heal",
        f"Cut in two halves for {plan.seconds:g} s, then mended",
        [row for count in plan.nodes for row in _rows(count)],
        plan.names,
    )
    for count in plan.nodes:
        for system in plan.systems:
            await _cuts(report, plan, system, count)
    return report


def _rows(count: int) -> list[Row]:
    return [
        Row(f"whole_{count}", f"N={count}: all views whole after, s", GOAL),
        Row(
            f"torn_{count}",
            f"N={count}: of the other half's members, share failed before",
            digits=2,
        ),
    ]


async def _cuts(report: Report, plan: Plan, system: System, count: int) -> None:
    async def work() -> None:
        ground = Hosts(count)
        async with running(system, ground, count, encrypted=True) as cluster:
            await formed(cluster, SETTLE_SECONDS)
            for turn in range(plan.runs_of(system)):
                await _once(report, plan, system, cluster, ground)
                tell(f"heal: {system.name}, N={count}, cut {turn + 1} is over")
                await cluster.quiet(SETTLE_SECONDS)

    if not await attempt(report, f"{system.name}, N={count}", work):
        keys = (f"whole_{count}", f"torn_{count}")
        report.lack(system.name, keys, plan.runs_of(system))


async def _once(
    report: Report, plan: Plan, system: System, cluster: Cluster, ground: Hosts
) -> None:
    views, count = cluster.views, len(cluster.numbers)
    await ground.cut()
    await cluster.quiet(plan.seconds)
    torn = sum(views.holders(cluster.name(number), DEAD) for number in cluster.numbers)
    across = 2 * (count // 2) * (count - count // 2)
    report.samples(system.name, f"torn_{count}").add(torn / across)
    mended_at = time.monotonic()
    await ground.mend()
    whole = await cluster.until(views.whole, WHOLE_SECONDS_MAX)
    broken = whole and views.whole_since > mended_at
    samples = report.samples(system.name, f"whole_{count}")
    samples.add(views.whole_since - mended_at if broken else None)
    if not whole:
        raise AgentsFailed(f"the views weren't whole {WHOLE_SECONDS_MAX:g} s after the cut")
