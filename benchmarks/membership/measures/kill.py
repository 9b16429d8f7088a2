"""How soon the others say that a killed agent has failed.

kill -9 to a random agent and its children at a random moment: its port is refused from then on. The
victim is started again, and the next one is killed when all views are whole.
"""

from benchmarks.membership.cluster import Cluster, formed, running
from benchmarks.membership.plan import Plan, attempt, loopback, tell
from benchmarks.membership.report import Goal, Report, Row
from benchmarks.membership.systems import System
from benchmarks.membership.views import DEAD, AgentsFailed

SETTLE_SECONDS = 5.0
VERDICT_SECONDS_MAX = 120.0
WHOLE_SECONDS_MAX = 60.0
PAUSE_SECONDS = (1.0, 3.0)

ALL_GOAL = Goal(middle=1.2, worst=2.0)
SPREAD_GOAL = Goal(worst=0.03)


async def kill(plan: Plan) -> Report:
    """A cluster for each system and size, all kills in it."""
    report = Report("kill", "Kill -9 to the verdict `failed`, s", _rows(plan.nodes), plan.names)
    for count in plan.nodes:
        for system in plan.systems:
            await _kills(report, plan, system, count)
    return report


def _rows(sizes: tuple[int, ...]) -> list[Row]:
    rows = []
    for count in sizes:
        rows += [
            Row(f"first_{count}", f"N={count}: first says failed"),
            Row(f"all_{count}", f"N={count}: all say failed", ALL_GOAL),
            Row(f"spread_{count}", f"N={count}: first to last", SPREAD_GOAL),
        ]
    return rows


async def _kills(report: Report, plan: Plan, system: System, count: int) -> None:
    async def work() -> None:
        async with running(system, loopback(), count) as cluster:
            await formed(cluster, SETTLE_SECONDS)
            for turn in range(plan.runs_of(system)):
                await cluster.quiet(plan.rng.uniform(*PAUSE_SECONDS))
                await _once(report, system, cluster, plan.rng.choice(cluster.numbers), turn)

    if not await attempt(report, f"{system.name}, N={count}", work):
        keys = (f"first_{count}", f"all_{count}", f"spread_{count}")
        report.lack(system.name, keys, plan.runs_of(system))


async def _once(report: Report, system: System, cluster: Cluster, victim: int, turn: int) -> None:
    views, name, count = cluster.views, cluster.name(victim), len(cluster.numbers)
    mark = len(views.history)
    killed_at = await cluster.kill(victim)
    said_by_all = await cluster.until(
        lambda: views.holders(name, DEAD) == count - 1, VERDICT_SECONDS_MAX
    )
    heard = views.history[mark:]
    firsts: dict[str, float] = {}
    for word in heard:
        if word.subject == name and word.kind in DEAD:
            firsts.setdefault(word.observer, word.at - killed_at)
    first = min(firsts.values(), default=None)
    last = max(firsts.values()) if said_by_all else None
    report.samples(system.name, f"first_{count}").add(first)
    report.samples(system.name, f"all_{count}").add(last)
    spread = None if first is None or last is None else last - first
    report.samples(system.name, f"spread_{count}").add(spread)
    tell(f"kill: {system.name}, N={count}, kill {turn + 1}: {name} failed after {last}")
    wronged = {word.subject for word in heard if word.kind in DEAD} - {name}
    if wronged:
        report.notes.append(
            f"{system.name}, N={count}, kill {turn + 1}: also said to be dead, and alive: "
            + ", ".join(sorted(wronged))
        )
    await cluster.start(victim)
    if not await cluster.until(views.whole, WHOLE_SECONDS_MAX):
        raise AgentsFailed(
            f"the views weren't whole {WHOLE_SECONDS_MAX:g} s after {name} started again; "
            f"{turn + 1} kills were counted"
        )
