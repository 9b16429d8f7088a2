"""Scenarios of whole nodes."""

import logging

from simulations.report import Report, report
from simulations.settings import Settings
from simulations.whole import swarm


def whole(nodes: int, seed: int, settings: Settings) -> Report:
    """Whole nodes in a swarm run: clients write and show keys, workers serve, while processes,
    disks, network and authority fail and lie, and somebody without a key tries to get in."""
    plan = swarm.draw(seed, nodes or None, settings.get("seconds", 0.0) or None)
    settings.check_used()
    world = swarm.build(plan, seed)
    logging.disable()  # agents log what befalls their workers
    try:
        swarm.run(world, plan)
    finally:
        logging.disable(logging.NOTSET)
    return report(world, "safety", "liveness", "quiet")
