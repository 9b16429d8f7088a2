"""SWIM's numbers (Das, Gupta, Motivala, DSN 2002) beside its formulas, by cluster size n.

*Detection.* In each trial one machine loses its power, so that only probes find it. SWIM picks
targets at random: some member probes the dead one in a given period with the probability
``1 - (1 - 1/(n-1))^(n-1)``, so the first one does after ``1 / (1 - (1 - 1/(n-1))^(n-1))`` periods
on average: 1/(1 - e^-1) = 1.58 for large n, from which half a period goes off, for the crash comes
anywhere in the first one. Here members probe in an even order (``gossip.schedule``): each is probed
once in every period, so the wait is uniform over one, 0.5 on average. Then comes the probe's
window, and to the verdict the shortest suspicion: by its end the probes of three more members have
confirmed.

*Load.* A ping and an ack sent per member and period, whatever n.

*Probes that fail by loss alone.* ``(1 - q^2) (1 - q^4)^k`` with k helpers, where q is the share of
packets that arrive and everybody is well. For that experiment there is no TCP and no knock.

*Dissemination.* One member knows something, and it travels on pings and acks alone (no direct
spread, no table exchange). With two contacts per member and period, and i of n members knowing,
i(n - i) 2/(n - 1) more hear per period; so the last one does after
``(n-1)/2 * sum of 1/(i(n-i)) = (n-1)/n * (1 + 1/2 + … + 1/(n-1))`` periods: about ln n.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from gossip.events import MemberChanged
from gossip.profiles import Profile
from simulations.links import Link
from simulations.operations import Silence, perform
from simulations.report import Report, Series, Table
from simulations.settings import Settings
from simulations.world import World

_SMALLEST = 8
_WARM_UP_SECONDS = 5.0
"""Until the watch streams stand."""
_REST_PERIODS = 10
_NEVER = 1e8
_LOSS = 0.2
"""Of the experiment on probes that fail by loss."""


class Sample(NamedTuple):
    """What one trial has measured: times in periods, packets and bytes per member and period."""

    packets: float
    size: float
    suspected: float
    judged: float
    known: float
    failed_probes: float
    """Share of the probes of members that are well."""
    spread: float


def swim(nodes: int, seed: int, settings: Settings) -> Report:
    """SWIM's formulas beside what is measured, for n of 8, 16, … up to --nodes (--set sizes=…)."""
    sizes = settings.numbers("sizes", _doubled(nodes), 2, 2_000)
    trials = settings.get("trials", 10, 1, 10_000)
    profile, link = settings.profile(), settings.link()
    settings.check_used()
    series, samples = Series(), dict[int, list[Sample]]()
    for number, size in enumerate(sizes):
        for trial in range(trials):
            settings.progress(number * trials + trial, len(sizes) * trials)
            sample = _sample(series, size, seed * 10_000 + trial, profile, link)
            samples.setdefault(size, []).append(sample)
    tables = [
        _detection(samples, profile),
        _load(samples),
        _failed_probes(samples, profile),
        _dissemination(samples),
    ]
    return series.report(_figures(samples), tables, "safety", "liveness")


def first_probe(size: int, *, even: bool) -> float:
    """Expected periods from a crash to the first probe of the dead member."""
    if even:
        return 0.5
    return 1 / (1 - (1 - 1 / (size - 1)) ** (size - 1)) - 0.5 if size > 2 else 0.5


def shortest_suspicion(size: int, profile: Profile) -> float:
    """Periods."""
    return profile.suspicion_mult * max(1.0, math.log10(size))


def failing_share(size: int, profile: Profile, loss: float) -> float:
    """Expected share of the probes that fail though everybody is well."""
    arrives = 1 - loss
    helpers = min(profile.indirect_checks, size - 2)
    return float((1 - arrives**2) * (1 - arrives**4) ** helpers)


def dissemination(size: int) -> float:
    """Expected periods until the last member knows what one knew."""
    return (size - 1) / size * sum(1 / number for number in range(1, size))


def _doubled(nodes: int) -> list[int]:
    sizes = [_SMALLEST]
    while sizes[-1] * 2 <= nodes:
        sizes.append(sizes[-1] * 2)
    return [size for size in sizes if size < nodes] + [max(2, nodes)]


def _sample(series: Series, size: int, seed: int, profile: Profile, link: Link) -> Sample:
    world = World(size, seed, profile, link)
    world.begin_formed()
    world.run(_WARM_UP_SECONDS + world.rng.random() * profile.probe_interval)
    packets, size_sent = _sent(world)
    world.run(_REST_PERIODS * profile.probe_interval)
    packets_after, size_after = _sent(world)
    shares = size * _REST_PERIODS
    load = (packets_after - packets) / shares, (size_after - size_sent) / shares
    times = _detect(world)
    series.add(world)
    failed = _lose_probes(series, size, seed, profile)
    return Sample(*load, *times, failed, _spread(series, size, seed, profile, link))


def _detect(world: World) -> tuple[float, float, float]:
    """Periods until the first suspicion, the first verdict, and until all know."""
    size, profile = len(world.nodes), world.profile
    victim = world.nodes[world.rng.randrange(size)]
    seen = len(world.observed)
    others = [node for node in world.nodes if node is not victim]
    perform(Silence(victim.index), world)
    begun, period = world.now, profile.probe_interval
    bound = (
        2 * size + shortest_suspicion(size, profile) * profile.suspicion_max_mult + 60
    ) * period

    def says(status: str) -> Callable[[], bool]:
        position = seen

        def said() -> bool:
            nonlocal position
            news, position = world.observed[position:], len(world.observed)
            return any(
                isinstance(one.event, MemberChanged)
                and (one.event.member.id, one.event.member.status) == (victim.id, status)
                for one in news
            )

        return said

    def all_know() -> bool:
        return all(node.status_of(victim) == "failed" for node in others)

    world.run_until(says("suspect"), bound, "no suspicion")
    suspected = world.now - begun
    world.run_until(says("failed"), bound, "no verdict")
    judged = world.now - begun
    world.run_until(all_know, bound, "not all heard of it")
    return suspected / period, judged / period, (world.now - begun) / period


def _lose_probes(series: Series, size: int, seed: int, profile: Profile) -> float:
    """Share of the probes that fail where packets get lost, no stream opens, and all are well."""
    patient = replace(profile, knock_after=_NEVER, health_score_max=0)
    world = World(size, seed, patient, Link(loss=_LOSS))
    world.begin_formed()
    everyone = range(size)
    world.network.cut(everyone, everyone, ["tcp"])
    world.run((_REST_PERIODS + 2) * profile.probe_interval)
    series.add(world)
    counters = [node.core.counters for node in world.nodes]
    ended = sum(each["probes"] for each in counters) - size
    return sum(each["probes_failed"] for each in counters) / max(1, ended)


def _spread(series: Series, size: int, seed: int, profile: Profile, link: Link) -> float:
    """Periods until the last of ``size`` members has heard what one knew: that another, one more,
    was forced out. What that one would say directly is held back."""
    quiet = replace(profile, eager_fanout=0, push_pull_interval=_NEVER)
    world = World(size + 1, seed, quiet, link)
    world.begin_formed()
    world.run(_WARM_UP_SECONDS + world.rng.random() * profile.probe_interval)
    *members, subject = world.nodes
    teller = world.rng.choice(members)
    others = [node.index for node in world.nodes if node is not teller]
    world.network.cut([teller.index], others)
    teller.application.force_out(subject.id)
    world.network.mend([teller.index], others)
    begun = world.now
    world.run_until(
        lambda: all(node.status_of(subject) == "left" for node in members),
        60 * profile.probe_interval,
        "not all heard of it",
    )
    series.add(world)
    return (world.now - begun) / profile.probe_interval


def _sent(world: World) -> tuple[int, int]:
    counters = [node.core.counters for node in world.nodes]
    return (
        sum(each["datagrams_out"] for each in counters),
        sum(each["datagram_bytes_out"] for each in counters),
    )


def _mean(samples: list[Sample], field: str) -> float:
    return statistics.fmean(getattr(sample, field) for sample in samples)


def _figures(samples: dict[int, list[Sample]]) -> dict[str, float]:
    return {
        f"n{size}_{field}": _mean(those, field)
        for size, those in samples.items()
        for field in Sample._fields
    }


def _detection(samples: dict[int, list[Sample]], profile: Profile) -> Table:
    window = profile.probe_window / profile.probe_interval
    rows = []
    for size, those in samples.items():
        mean = partial(_mean, those)
        even = first_probe(size, even=True) + window
        rows.append(
            (
                size,
                first_probe(size, even=False) + window,
                even,
                mean("suspected"),
                even + shortest_suspicion(size, profile),
                mean("judged"),
                mean("known"),
            )
        )
    return Table(
        "A machine loses its power; periods until some member suspects it, declares it failed, and "
        "all know",
        ("n", "SWIM's order", "even order", "suspected", "formula", "declared", "all know"),
        rows,
        ("SWIM's order picks targets at random; formulas in simulations/swim.py; means",),
    )


def _load(samples: dict[int, list[Sample]]) -> Table:
    return Table(
        "A cluster at rest; sent per member and period",
        ("n", "formula", "packets", "bytes"),
        [(n, 2.0, _mean(those, "packets"), _mean(those, "size")) for n, those in samples.items()],
    )


def _failed_probes(samples: dict[int, list[Sample]], profile: Profile) -> Table:
    return Table(
        f"{_LOSS:.0%} of the packets are lost, there is no TCP; share of probes that fail",
        ("n", "formula", "measured"),
        [
            (n, f"{failing_share(n, profile, _LOSS):.4f}", f"{_mean(those, 'failed_probes'):.4f}")
            for n, those in samples.items()
        ],
    )


def _dissemination(samples: dict[int, list[Sample]]) -> Table:
    return Table(
        "One member knows something, pings and acks alone carry it; periods until all know",
        ("n", "ln n", "formula", "measured"),
        [
            (n, math.log(n), dissemination(n), _mean(those, "spread"))
            for n, those in samples.items()
        ],
    )
