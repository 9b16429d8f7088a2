"""All scenarios by name. Each takes a number of nodes, a seed and settings, and answers a Report.

One that doesn't end as it must raises TimeoutError, or AssertionError for a broken rule.
"""

from collections.abc import Callable

from gossip.profiles import Profile
from simulations import swarm as swarms
from simulations.lifeguard import lifeguard
from simulations.operations import Operation, perform
from simulations.pictures.tour import tour
from simulations.reduction import Reduction
from simulations.report import Report, report
from simulations.reproductions.authority import authority_load
from simulations.reproductions.fence import fence
from simulations.reproductions.propagation import propagation
from simulations.reproductions.repair import repair
from simulations.scenarios.authority import authority, histories, writers
from simulations.scenarios.data import newcomer, spread
from simulations.scenarios.repairs import repairs
from simulations.scenarios.scale import scale
from simulations.scenarios.stories import STORIES
from simulations.scenarios.whole import SCENARIOS as WHOLE
from simulations.settings import Settings
from simulations.swim import swim
from simulations.world import World

Scenario = Callable[[int, int, Settings], Report]


def told(story: Callable[[int, Profile], list[Operation]]) -> Scenario:
    """A scenario that lives through a story."""

    def scenario(nodes: int, seed: int, settings: Settings) -> Report:
        profile = settings.profile()
        world = World(nodes, seed, profile, settings.link(), skewed=True)
        settings.check_used()
        world.checks.begin_audits()
        world.poll_in_turn()
        for operation in story(nodes, profile):
            perform(operation, world)
        return report(world, "safety", "liveness")

    scenario.__doc__ = story.__doc__
    return scenario


def swarm(nodes: int, seed: int, settings: Settings) -> Report:
    """The seed chooses faults, settings and how hard they blow; then a random core must heal."""
    plan = swarms.draw(seed, nodes or None, settings.get("seconds", 0.0) or None)
    reduction = Reduction.of(settings)
    settings.check_used()
    plan = reduction.apply(plan)
    world = swarms.build(plan, seed)
    swarms.run(world, plan)
    return report(world, "safety", "liveness", "quiet")


SCENARIOS: dict[str, Scenario] = {
    **{story.__name__: told(story) for story in STORIES},
    **{
        scenario.__name__: scenario
        for scenario in (
            tour,
            spread,
            newcomer,
            repairs,
            scale,
            swarm,
            swim,
            lifeguard,
            writers,
            histories,
            authority,
            propagation,
            repair,
            fence,
        )
    },
    "authority-load": authority_load,
    **WHOLE,
}
"""By name, as ``python -m simulations list`` prints them."""
