"""Scenarios of whole nodes."""

import logging

from simulations.reduction import Reduction
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.whole import swarm


def whole(nodes: int, seed: int, settings: Settings) -> Report:
    """Whole nodes in a swarm run: clients write and show keys, workers serve, while processes,
    disks, network and authority fail and lie, and somebody without a key tries to get in."""
    plan = swarm.draw(seed, nodes or None, settings.get("seconds", 0.0) or None)
    reduction = Reduction.of(settings)
    settings.check_used()
    plan = plan.reduced(reduction.apply(plan.plan))
    world = swarm.build(plan, seed)
    logging.disable()  # agents log what befalls their workers
    try:
        swarm.run(world, plan)
    finally:
        logging.disable(logging.NOTSET)
    return report(world, "safety", "liveness", "quiet")
