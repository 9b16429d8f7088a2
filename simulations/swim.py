"""SWIM's numbers (Das, Gupta, Motivala, DSN 2002): detection and load by cluster size.

For each size the cluster runs formed; in each trial one machine loses its power, so that only
probes can find it. Measured are the periods to the first suspicion, to the first verdict and to the
last member's knowledge of it, and the packets per member and period in a cluster at rest.

The formulas beside them. SWIM picks targets at random: some member probes the dead one in a given
period with probability 1 - (1 - 1/(n-1))^(n-1), and the first that does needs
``1 / (1 - (1 - 1/(n-1))^(n-1))`` periods on average, e/(e-1) = 1.58 for large n; within the first
one the crash comes half a period late on average. Here members probe in an even order (each member
is probed once per period, by another each time), so that the wait is uniform over one period, 0.5
on average, before the probe that fails takes one more to its verdict.
"""

import math
from collections.abc import Callable

from gossip.events import MemberChanged
from simulations.operations import Silence, perform
from simulations.report import Report, report
from simulations.scenarios.scale import begin_formed
from simulations.settings import Settings
from simulations.world import World

_REST_SECONDS = 20.0


def swim(nodes: int, seed: int, settings: Settings) -> Report:
    """Detection and load by cluster size (``--set sizes=8,16``), beside SWIM's formulas."""
    sizes = [int(size) for size in settings.numbers("sizes", [float(nodes)])]
    trials = settings.get("trials", 5)
    profile, link = settings.profile(), settings.link()
    settings.check_used()
    if min(sizes) < 2:
        sizes = [max(2, size) for size in sizes]
    figures: dict[str, float] = {}
    for size in sizes:
        suspected, first, last = [], [], []
        for trial in range(trials):
            world = World(size, seed * 1_000 + trial, profile, link)
            begin_formed(world)
            world.run(_REST_SECONDS + world.rng.random())
            sent = _packets(world)
            world.run(_REST_SECONDS)
            load = (_packets(world) - sent) / size / (_REST_SECONDS / profile.probe_interval)
            times = _detect(world, size)
            suspected.append(times[0])
            first.append(times[1])
            last.append(times[2])
        shortest = profile.suspicion_mult * max(1.0, math.log10(size))
        chosen = 1 - (1 - 1 / (size - 1)) ** (size - 1) if size > 1 else 1.0
        figures |= {
            f"n{size}_suspected": _mean(suspected),
            f"n{size}_random_order_formula": 1 / chosen - 0.5 + 1.0,
            f"n{size}_even_order_formula": 0.5 + 1.0,
            f"n{size}_first_verdict": _mean(first),
            f"n{size}_suspicion_formula": shortest,
            f"n{size}_all_know": _mean(last),
            f"n{size}_packets_per_period": load,
        }
    world.measures |= figures
    return report(world, "safety", "liveness")


def _detect(world: World, size: int) -> tuple[float, float, float]:
    """Periods until the first suspicion, the first verdict, and until all know."""
    victim = world.nodes[world.rng.randrange(size)]
    seen = len(world.observed)
    perform(Silence(victim.index), world)
    begun, period = world.now, world.profile.probe_interval
    others = [node for node in world.nodes if node is not victim]

    def says(status: str) -> Callable[[], bool]:
        return lambda: any(
            isinstance(one.event, MemberChanged)
            and (one.event.member.id, one.event.member.status) == (victim.id, status)
            for one in world.observed[seen:]
        )

    longest = world.profile.suspicion_mult * world.profile.suspicion_max_mult
    bound = (2 * size + longest * max(1.0, math.log10(size)) + 60) * period
    world.run_until(says("suspect"), bound, "no suspicion")
    suspected = world.now - begun
    world.run_until(says("failed"), bound, "no verdict")
    first = world.now - begun
    while any(node.status_of(victim) != "failed" for node in others):
        assert world.now - begun < bound, "not all heard of it"
        world.run(0.01)
    return suspected / period, first / period, (world.now - begun) / period


def _packets(world: World) -> int:
    return sum(node.core.counters["datagrams_out"] for node in world.nodes)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
