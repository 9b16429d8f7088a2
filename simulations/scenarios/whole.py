"""Scenarios of whole nodes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simulations.reduction import Reduction
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.whole import swarm
from simulations.whole.engines import engines
from simulations.whole.schema import migrations_retried, schema_missing
from simulations.whole.stories import STORIES, told

Scenario = Callable[[int, int, Settings], Report]


def whole(nodes: int, seed: int, settings: Settings) -> Report:
    """Whole nodes in a swarm run: clients write and show keys, workers serve, while processes,
    disks, network and authority fail and lie, and somebody without a key tries to get in."""
    plan = swarm.draw(seed, nodes or None, settings.get("seconds", 0.0) or None)
    reduction = Reduction.of(settings)
    settings.check_used()
    plan = plan.reduced(reduction.apply(plan.plan))
    world = swarm.build(plan, seed)
    swarm.run(world, plan)
    return report(world, "safety", "liveness", "quiet")


@contextmanager
def _silence() -> Iterator[None]:
    """Agents log what befalls their workers, and what they find at their authority."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _silent(scenario: Scenario) -> Scenario:
    def silent(nodes: int, seed: int, settings: Settings) -> Report:
        with _silence():
            return scenario(nodes, seed, settings)

    silent.__doc__ = scenario.__doc__
    return silent


SCENARIOS: dict[str, Scenario] = {
    "whole": _silent(whole),
    "engines": _silent(engines),
    "schema_missing": _silent(schema_missing),
    "migrations_retried": _silent(migrations_retried),
    **{story.__name__: _silent(told(story)) for story in STORIES},
}
"""By name."""
