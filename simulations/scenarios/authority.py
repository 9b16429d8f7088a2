"""Scenarios of the authority: the engines of ``store`` over the models of their databases."""

from simulations.authority.grounds import PostgresGround, SqliteGround
from simulations.authority.writers import Run
from simulations.report import Report
from simulations.settings import SettingError, Settings

_GROUNDS: dict[str, type[PostgresGround | SqliteGround]] = {
    "postgres": PostgresGround,
    "sqlite": SqliteGround,
}
WRITERS_MAX = 8


def writers(nodes: int, seed: int, settings: Settings) -> Report:
    """Processes write to one database while it fails: each answer is true, no commit is lost.

    At most ``WRITERS_MAX`` of ``nodes`` write. Options: engine=postgres|sqlite, writes, faults=0|1.
    """
    engine = settings.get("engine", "postgres")
    if engine not in _GROUNDS:
        raise SettingError(f"engine: '{engine}' is none of {', '.join(_GROUNDS)}")
    count = settings.get("writes", 12)
    faults = settings.get("faults", 1) != 0
    settings.check_used()
    run = Run(seed, min(nodes, WRITERS_MAX), count, faults=faults)
    ground = _GROUNDS[engine](run.clock, run.rng)
    run.perform(ground)
    lost = run.judge()
    assert lost <= ground.lost, f"{lost} answered commits are lost, {ground.lost} by failovers"
    measures = {name: float(number) for name, number in sorted(run.counts.items())}
    measures["lost_by_failover"] = float(ground.lost)
    hash_ = run.trace.hexdigest()
    verdicts = {"safety": "ok", "liveness": "ok"}
    return Report(round(run.clock.now, 6), run.clock.events, hash_, verdicts, measures, {})
