"""Lifeguard's experiments (Dadgar, Phillips, Currey, arXiv 1707.00788): slow members, false alarms.

C members of a healthy cluster have an anomaly for D seconds: once (the threshold experiment), or
again and again with I seconds between (the interval experiment). Nobody dies, so every verdict
about a member without anomalies is false (FP), and worst at members without any (FP-). Then a
machine loses its power, and the time to the first verdict and to everyone's knowledge is measured.

The paper's five configurations, each by values of the profile:

    swim        no local health, a fixed suspicion (beta 1), the accused hears by piggyback
    probe       local health stretches probes (LHA-Probe)
    suspicion   suspicion shrinks from beta times with confirmations (LHA-Suspicion)
    buddy       the accused hears first of all (Buddy System)
    lifeguard   all three

and a sixth: ``grapevine`` is the profile as it is, which besides doubts itself (``gossip.doubt``).

Two kinds of anomaly (``--set anomaly=…``). ``blocked`` is the paper's: whatever a member sends or
is sent waits for the end, while its timers run on. ``stopped`` is what a process here knows, being
one thread: it neither reads nor judges, and when it goes on it reads first, and grants its suspects
the time. The paper's memberlist sends its gossip on a tick of 200 ms; claims here are spread at
once, so that refutations are faster in every configuration.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from gossip.events import MemberChanged
from gossip.profiles import Profile
from simulations.links import Link
from simulations.operations import Pause, Resume, Silence, perform
from simulations.report import Report, Series, Table
from simulations.settings import SettingError, Settings, nearest
from simulations.world import World

_WARM_UP_SECONDS = 10.0
_AFTER_SECONDS = 60.0
"""After the last anomaly: verdicts that it has caused have come out, mostly within a second."""
_ANOMALIES = ("blocked", "stopped")
_EXPERIMENTS = ("detection", "threshold", "interval", "tuning")
_BASELINE = "swim"


class Cell(NamedTuple):
    """One place of a grid: so many members slow for so many seconds, with such pauses."""

    slow: int
    length: float
    interval: float = 0.0
    """0: once."""

    def key(self) -> str:
        return f"c{self.slow}_d{self.length:g}_i{self.interval:g}"


class Alarms(NamedTuple):
    """What came of a cell, or of several."""

    false: int
    """Verdicts about members without anomalies: the paper's FP."""
    false_at_healthy: int
    """Of these, those at members without anomalies: FP-."""
    slow_failed: int
    """Verdicts about the slow ones. Whoever is silent for longer than the suspicion deserves it."""
    packets: int
    size: int

    def plus(self, other: "Alarms") -> "Alarms":
        return Alarms(*(one + another for one, another in zip(self, other, strict=True)))


class Plan(NamedTuple):
    """What is asked for."""

    nodes: int
    seed: int
    base: Profile
    link: Link
    cycling_seconds: float
    anomaly: str
    trials: int
    experiments: Sequence[str]
    threshold: Sequence[Cell]
    interval: Sequence[Cell]
    alphas: Sequence[int]
    betas: Sequence[int]


def configurations(base: Profile) -> dict[str, Profile]:
    """By name; each has the base's alpha, and its beta where suspicion shrinks."""
    lifeguard = replace(base, doubt_max=0.0)
    plain = replace(lifeguard, health_score_max=0, suspicion_max_mult=1, accusations_first=0)
    return {
        _BASELINE: plain,
        "probe": replace(plain, health_score_max=base.health_score_max),
        "suspicion": replace(plain, suspicion_max_mult=base.suspicion_max_mult),
        "buddy": replace(plain, accusations_first=1),
        "lifeguard": lifeguard,
        "grapevine": base,
    }


def lifeguard(nodes: int, seed: int, settings: Settings) -> Report:
    """False and true alarms while members stand still, in Lifeguard's five configurations."""
    plan = _plan(nodes, seed, settings)
    work, series = _Work(plan, settings), Series()
    tables: list[Table] = []
    figures: dict[str, float] = {}
    for experiment in plan.experiments:
        table = getattr(work, experiment)(series, figures)
        tables.append(table)
    return series.report(figures, tables, "safety")


def _plan(nodes: int, seed: int, settings: Settings) -> Plan:
    nodes = max(2, nodes)
    slow = settings.numbers("slow", sorted({1, max(1, nodes // 8), max(1, nodes // 4)}), 1, nodes)
    lengths = settings.numbers("lengths", [2.0, 8.0, 32.0], 0.001, 3_600)
    intervals = settings.numbers("intervals", [0.25, 4.0], 0.001, 3_600)
    plan = Plan(
        nodes=nodes,
        seed=seed,
        base=settings.profile(),
        link=settings.link(),
        cycling_seconds=settings.get("cycling", 120.0, 0, 86_400),
        anomaly=settings.get("anomaly", _ANOMALIES[0]),
        trials=settings.get("trials", 3, 1, 1_000),
        experiments=settings.get("experiments", ",".join(_EXPERIMENTS[:3])).split(","),
        threshold=[Cell(count, length) for count in slow for length in lengths],
        interval=[
            Cell(count, length, interval)
            for count in slow for length in lengths for interval in intervals
        ],
        alphas=settings.numbers("alphas", [2, 3, 4, 5], 2, 100),
        betas=settings.numbers("betas", [2, 4, 6], 1, 100),
    )  # fmt: skip
    settings.check_used()
    _check_among("anomaly", [plan.anomaly], _ANOMALIES)
    _check_among("experiments", plan.experiments, _EXPERIMENTS)
    return plan


def _check_among(key: str, values: Sequence[str], known: Sequence[str]) -> None:
    for value in values:
        if value not in known:
            near = nearest(value, known)
            raise SettingError(f"{key}: '{value}' is none of {', '.join(known)}{near}")


class _Work:
    """The experiments, each with its table."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self._plan = plan
        self._settings = settings
        self._done = 0
        self._total = sum(self._worlds(name) for name in plan.experiments)

    def _worlds(self, experiment: str) -> int:
        """How many an experiment takes."""
        plan, shapes = self._plan, len(configurations(self._plan.base))
        if experiment == "tuning":
            pairs = 1 + len(plan.alphas) * len(plan.betas)
            return pairs * (plan.trials + len(plan.interval))
        per_shape = {"threshold": len(plan.threshold), "interval": len(plan.interval)}
        return shapes * per_shape.get(experiment, plan.trials)

    def detection(self, series: Series, figures: dict[str, float]) -> Table:
        """A member that dies."""
        rows = []
        for name, profile in configurations(self._plan.base).items():
            first, everyone = self._true_alarms(series, profile)
            middle, middle_of_all = statistics.median(first), statistics.median(everyone)
            figures[f"{name}_first_verdict"] = middle
            figures[f"{name}_all_know"] = middle_of_all
            rows.append((name, middle, max(first), middle_of_all, max(everyone)))
        return Table(
            f"A machine of {self._plan.nodes} loses its power; seconds, {self._plan.trials} trials",
            ("", "first verdict", "worst", "all know", "worst"),
            rows,
        )

    def threshold(self, series: Series, figures: dict[str, float]) -> Table:
        """Each anomaly once."""
        return self._grid("Anomalies once", self._plan.threshold, series, figures)

    def interval(self, series: Series, figures: dict[str, float]) -> Table:
        """Anomalies again and again."""
        title = f"Anomalies for {self._plan.cycling_seconds:g} s"
        return self._grid(title, self._plan.interval, series, figures)

    def tuning(self, series: Series, figures: dict[str, float]) -> Table:
        """Lifeguard's alpha and beta, relative to SWIM with the base's alpha (in percent)."""
        plan, shapes = self._plan, configurations(self._plan.base)
        first_of_swim, everyone_of_swim = self._true_alarms(series, shapes[_BASELINE])
        alarms_of_swim = self._sum(shapes[_BASELINE], plan.interval, series)
        rows = []
        for alpha in plan.alphas:
            for beta in plan.betas:
                profile = replace(
                    shapes["lifeguard"], suspicion_mult=alpha, suspicion_max_mult=beta
                )
                first, everyone = self._true_alarms(series, profile)
                alarms = self._sum(profile, plan.interval, series)
                row = (
                    _percent(statistics.median(first), statistics.median(first_of_swim)),
                    _percent(statistics.median(everyone), statistics.median(everyone_of_swim)),
                    _percent(alarms.false, alarms_of_swim.false),
                    _percent(alarms.false_at_healthy, alarms_of_swim.false_at_healthy),
                )
                rows.append((f"alpha {alpha}, beta {beta}", *row))
                figures[f"a{alpha}_b{beta}_first_verdict"] = statistics.median(first)
                figures[f"a{alpha}_b{beta}_fp"] = alarms.false
        return Table(
            f"Lifeguard in percent of SWIM with alpha {plan.base.suspicion_mult}; anomalies as in "
            "the interval experiment",
            ("", "first verdict", "all know", "FP", "FP-"),
            rows,
            ("The paper, alpha 4: detection 20 % faster, FP to a twentieth.",),
        )

    def _grid(
        self, title: str, cells: Sequence[Cell], series: Series, figures: dict[str, float]
    ) -> Table:
        sums = {}
        for name, profile in configurations(self._plan.base).items():
            sums[name] = Alarms(0, 0, 0, 0, 0)
            for cell in cells:
                alarms = self._alarms(profile, cell, series)
                sums[name] = sums[name].plus(alarms)
                figures[f"{name}_{cell.key()}_fp"] = alarms.false
                figures[f"{name}_{cell.key()}_fp_at_healthy"] = alarms.false_at_healthy
        base = sums[_BASELINE]
        return Table(
            f"{title} ({self._plan.anomaly}), {self._plan.nodes} members; sums over "
            f"{len(cells)} cells, in percent of SWIM",
            ("", "FP", "%", "FP-", "%", "slow failed", "packets %", "bytes %"),
            [
                (
                    name,
                    one.false,
                    _percent(one.false, base.false),
                    one.false_at_healthy,
                    _percent(one.false_at_healthy, base.false_at_healthy),
                    one.slow_failed,
                    _percent(one.packets, base.packets),
                    _percent(one.size, base.size),
                )
                for name, one in sums.items()
            ],
            ("The paper: Lifeguard's FP are a fiftieth to a hundredth of SWIM's.",),
        )

    def _sum(self, profile: Profile, cells: Sequence[Cell], series: Series) -> Alarms:
        whole = Alarms(0, 0, 0, 0, 0)
        for cell in cells:
            whole = whole.plus(self._alarms(profile, cell, series))
        return whole

    def _alarms(self, profile: Profile, cell: Cell, series: Series) -> Alarms:
        self._step()
        world = World(self._plan.nodes, self._plan.seed, profile, self._plan.link)
        alarms = false_alarms(world, cell, self._plan.anomaly, self._plan.cycling_seconds)
        series.add(world)
        return alarms

    def _true_alarms(self, series: Series, profile: Profile) -> tuple[list[float], list[float]]:
        first, everyone = [], []
        for trial in range(self._plan.trials):
            self._step()
            world = World(self._plan.nodes, self._plan.seed + trial, profile, self._plan.link)
            times = true_alarm(world)
            first.append(times[0])
            everyone.append(times[1])
            series.add(world)
        return first, everyone

    def _step(self) -> None:
        self._settings.progress(self._done, self._total)
        self._done += 1


def false_alarms(world: World, cell: Cell, anomaly: str, cycling_seconds: float) -> Alarms:
    """How often somebody was declared failed though nobody dies, and at what cost."""
    world.begin_formed()
    world.run(_WARM_UP_SECONDS + world.rng.random())
    seen, begun = len(world.observed), world.now
    packets, size = _traffic(world)
    slow = world.rng.sample(range(len(world.nodes)), min(cell.slow, len(world.nodes)))
    while True:
        _suffer(world, slow, anomaly, cell.length)
        if not cell.interval or world.now - begun >= cycling_seconds:
            break
        world.run(cell.interval)
    world.run(_AFTER_SECONDS)
    slow_ids = [world.nodes[index].id for index in slow]
    verdicts = [
        (one.node, one.event.member.id)
        for one in world.observed[seen:]
        if isinstance(one.event, MemberChanged) and one.event.member.status == "failed"
    ]
    about_healthy = [node for node, subject in verdicts if subject not in slow_ids]
    packets_after, size_after = _traffic(world)
    return Alarms(
        len(about_healthy),
        sum(node not in slow for node in about_healthy),
        len(verdicts) - len(about_healthy),
        packets_after - packets,
        size_after - size,
    )


def true_alarm(world: World) -> tuple[float, float]:
    """Seconds from a power cut to the first verdict, and to everyone's knowledge."""
    world.begin_formed()
    world.run(_WARM_UP_SECONDS + world.rng.random())
    victim, others = world.nodes[-1], world.nodes[:-1]
    perform(Silence(victim.index), world)
    begun, position, first = world.now, len(world.observed), None

    def all_know() -> bool:
        nonlocal position, first
        news, position = world.observed[position:], len(world.observed)
        for one in news:
            if isinstance(one.event, MemberChanged) and first is None:
                first = world.now - begun if one.event.member.status == "failed" else None
        return first is not None and all(node.status_of(victim) == "failed" for node in others)

    everyone = world.run_until(all_know, 1_000.0, "a dead member wasn't found")
    return (everyone if first is None else first), everyone


def _suffer(world: World, slow: Sequence[int], anomaly: str, seconds: float) -> None:
    if anomaly == "stopped":
        for index in slow:
            perform(Pause(index), world)
        world.run(seconds)
        for index in slow:
            perform(Resume(index), world)
        return
    everyone, until = range(len(world.nodes)), world.now + seconds
    world.network.clog(slow, everyone, until)
    world.network.clog(everyone, slow, until)
    world.run(seconds)


def _percent(value: float, base: float) -> float | None:
    return 100 * value / base if base else None


def _traffic(world: World) -> tuple[int, int]:
    counters = [node.core.counters for node in world.nodes]
    return (
        sum(each["datagrams_out"] for each in counters),
        sum(each["datagram_bytes_out"] for each in counters),
    )
