"""How soon the others say that a host has failed which has gone silent: nothing comes, nothing is
refused.

Each agent is a host of its own, and the victim's cable drops everything but ARP. Printed beside the
verdict is what the formula of gossip.suspicion promises ours: from the first suspicion to the
verdict, the shortest suspicion.
"""

from benchmarks.membership.cluster import Cluster, formed, running
from benchmarks.membership.grounds import Hosts
from benchmarks.membership.plan import Plan, attempt, tell
from benchmarks.membership.report import OURS, Goal, Report, Row
from benchmarks.membership.systems import System
from benchmarks.membership.views import DEAD, AgentsFailed
from gossip.profiles import LAN
from gossip.suspicion import open_suspicion

SETTLE_SECONDS = 5.0
VERDICT_SECONDS_MAX = 120.0
WHOLE_SECONDS_MAX = 180.0
PAUSE_SECONDS = (2.0, 4.0)

SUSPICION_GOAL = Goal(worst=2.0)
FORMULA_GOAL = Goal(worst=0.3)


async def silent(plan: Plan) -> Report:
    """A cluster for each system and size, encrypted, all silences in it."""
    report = Report(
        "silent",
        "A host gone silent, to the words of the others, s",
        [row for count in plan.nodes for row in _rows(count)],
        plan.names,
    )
    for count in plan.nodes:
        report.samples(OURS, f"formula_{count}").add(_formula(count))
        for system in plan.systems:
            await _silences(report, plan, system, count)
    return report


def _formula(count: int) -> float:
    return open_suspicion(LAN, count, "accuser", 0.0).minimum


def _rows(count: int) -> list[Row]:
    return [
        Row(f"suspect_{count}", f"N={count}: first suspects", SUSPICION_GOAL),
        Row(f"all_{count}", f"N={count}: all say failed"),
        Row(f"suspicion_{count}", f"N={count}: first suspicion to all say failed"),
        Row(f"formula_{count}", f"N={count}: the formula's shortest suspicion"),
        Row(f"over_{count}", f"N={count}: what it took beyond the formula", FORMULA_GOAL),
    ]


async def _silences(report: Report, plan: Plan, system: System, count: int) -> None:
    async def work() -> None:
        ground = Hosts(count)
        async with running(system, ground, count, encrypted=True) as cluster:
            await formed(cluster, SETTLE_SECONDS)
            for turn in range(plan.runs_of(system)):
                await cluster.quiet(plan.rng.uniform(*PAUSE_SECONDS))
                victim = plan.rng.choice(cluster.numbers)
                await _once(report, system, cluster, ground, victim)
                tell(f"silent: {system.name}, N={count}, host {turn + 1} is over")

    if not await attempt(report, f"{system.name}, N={count}", work):
        keys = (f"suspect_{count}", f"all_{count}", f"suspicion_{count}")
        report.lack(system.name, keys, plan.runs_of(system))
        if system.name == OURS:
            report.lack(OURS, (f"over_{count}",), plan.runs)


async def _once(
    report: Report, system: System, cluster: Cluster, ground: Hosts, victim: int
) -> None:
    views, name, count = cluster.views, cluster.name(victim), len(cluster.numbers)
    mark = len(views.history)
    silent_at = await ground.silence(victim)
    said_by_all = await cluster.until(
        lambda: views.holders(name, DEAD) == count - 1, VERDICT_SECONDS_MAX
    )
    words = [word for word in views.history[mark:] if word.subject == name]
    suspect = min((word.at - silent_at for word in words if word.kind == "suspect"), default=None)
    failed = max((word.at - silent_at for word in words if word.kind in DEAD), default=None)
    if not said_by_all:
        failed = None
    took = None if suspect is None or failed is None else failed - suspect
    report.samples(system.name, f"suspect_{count}").add(suspect)
    report.samples(system.name, f"all_{count}").add(failed)
    report.samples(system.name, f"suspicion_{count}").add(took)
    if system.name == OURS:
        over = None if took is None else took - _formula(count)
        report.samples(OURS, f"over_{count}").add(over)
    await ground.hear(victim)
    if not await cluster.until(views.whole, WHOLE_SECONDS_MAX):
        raise AgentsFailed(f"the views weren't whole {WHOLE_SECONDS_MAX:g} s after the silence")
