"""Lifeguard's experiments (Dadgar, Phillips, Currey, arXiv 1707.00788): slow members, false alarms.

C members of a healthy cluster stand still for D seconds: once (the threshold experiment), or again
and again with I seconds between (the interval experiment). Nobody dies, so every verdict about a
member that runs is false. Then, in another run of the same configuration, a machine loses its power
and the time to the first verdict and to everyone's knowledge is measured.

The paper's five configurations, as far as configuration can tell them apart:

    swim        no local health (health_score_max 0), fixed suspicion (suspicion_max_mult 1)
    probe       local health stretches probes (LHA-Probe)
    suspicion   suspicion shrinks with confirmations (LHA-Suspicion)
    buddy       whoever accuses tells the accused: always on here, so this is ``swim`` again
    lifeguard   all of them

A process here is one thread: while it stands still it neither reads nor judges, and when it goes on
it reads what its kernel kept before any timer, and grants its suspects the time. memberlist's
timers ran on in the experiments of the paper, which is where most of SWIM's false alarms came from;
so the differences between the configurations are smaller here, and all are low.
"""

from dataclasses import replace

from gossip.events import MemberChanged
from gossip.profiles import Profile
from simulations.operations import Pause, Resume, Silence, perform
from simulations.report import Report, report
from simulations.scenarios.scale import begin_formed
from simulations.settings import Settings
from simulations.world import World

_WARM_UP_SECONDS = 15.0
_AFTER_SECONDS = 60.0
"""Longer than the longest suspicion: what a pause has caused has come out."""
_CYCLING_SECONDS = 120.0


def configurations(base: Profile) -> dict[str, Profile]:
    """By name, each with the paper's alpha and beta as far as it has them."""
    plain = replace(base, health_score_max=0, suspicion_max_mult=1)
    return {
        "swim": plain,
        "probe": replace(base, suspicion_max_mult=1),
        "suspicion": replace(base, health_score_max=0),
        "buddy": plain,
        "lifeguard": base,
    }


def lifeguard(nodes: int, seed: int, settings: Settings) -> Report:
    """False alarms while members stand still, by configuration; then true ones, how fast."""
    slow = [int(count) for count in settings.numbers("slow", [float(max(1, nodes // 8))])]
    lengths = settings.numbers("lengths", [2.0, 8.0])
    intervals = settings.numbers("intervals", [0.0])
    base, link = settings.profile(), settings.link()
    settings.check_used()
    figures: dict[str, float] = {}
    for name, profile in configurations(base).items():
        if nodes > 1:
            world = World(nodes, seed, profile, link)
            first, last = _true_alarm(world)
            figures |= {f"{name}_first_verdict": first, f"{name}_all_know": last}
        for count in slow:
            for length in lengths:
                for interval in intervals:
                    world = World(nodes, seed, profile, link)
                    cell = f"{name}_c{count}_d{length:g}_i{interval:g}"
                    figures |= _false_alarms(world, cell, count, length, interval)
    world.measures |= figures
    return report(world, "safety")


def _false_alarms(
    world: World, cell: str, slow: int, length: float, interval: float
) -> dict[str, float]:
    """One cell of the grid: how often somebody was declared failed, and at what cost."""
    begin_formed(world)
    world.run(_WARM_UP_SECONDS)
    seen, begun = len(world.observed), world.now
    packets, size = _traffic(world)
    chosen = world.rng.sample(range(len(world.nodes)), min(slow, len(world.nodes)))
    while True:
        for index in chosen:
            perform(Pause(index), world)
        world.run(length)
        for index in chosen:
            perform(Resume(index), world)
        if not interval or world.now - begun > _CYCLING_SECONDS:
            break
        world.run(interval)
    world.run(_AFTER_SECONDS)
    slow_ids = [world.nodes[index].id for index in chosen]
    alarms = [
        (one.node, one.event.member.id)
        for one in world.observed[seen:]
        if isinstance(one.event, MemberChanged) and one.event.member.status == "failed"
    ]
    about_healthy = [node for node, subject in alarms if subject not in slow_ids]
    seconds = (world.now - begun) * len(world.nodes)
    packets_after, size_after = _traffic(world)
    return {
        f"{cell}_fp": len(about_healthy),
        f"{cell}_fp_at_healthy": sum(node not in chosen for node in about_healthy),
        f"{cell}_slow_failed": len(alarms) - len(about_healthy),
        f"{cell}_packets": (packets_after - packets) / seconds,
        f"{cell}_bytes": (size_after - size) / seconds,
    }


def _true_alarm(world: World) -> tuple[float, float]:
    """Seconds from a power cut to the first verdict, and to everyone's knowledge."""
    begin_formed(world)
    world.run(_WARM_UP_SECONDS)
    victim, others = world.nodes[-1], world.nodes[:-1]
    perform(Silence(victim.index), world)
    begun = world.now
    first: float | None = None
    while not all(node.status_of(victim) == "failed" for node in others):
        world.run(0.05)
        assert world.now - begun < 1_000.0, "a dead member wasn't found"
        if first is None and any(node.status_of(victim) == "failed" for node in others):
            first = world.now - begun
    return (world.now - begun if first is None else first), world.now - begun


def _traffic(world: World) -> tuple[int, int]:
    counters = [node.core.counters for node in world.nodes]
    return (
        sum(each["datagrams_out"] for each in counters),
        sum(each["datagram_bytes_out"] for each in counters),
    )
