"""A large cluster at rest, and what simulating it costs."""

from simulations.links import Link
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.world import World

_COMMIT_SECONDS = 0.5


def scale(nodes: int, seed: int, settings: Settings) -> Report:
    """A minute of a cluster with 1 % of packets lost and two changes a second: all reach all."""
    seconds = settings.get("seconds", 60.0)
    world = World(nodes, seed, settings.profile(), settings.link(Link(loss=0.01)))
    forming = settings.get("forming", 0)
    settings.check_used()
    if forming:
        world.measures["formed"] = world.form(within=120.0, apart=5.0 / nodes)
    else:
        world.begin_formed()
    while world.now < seconds:
        world.run(_COMMIT_SECONDS)
        running = [node.index for node in world.nodes if node.running]
        world.commit(world.rng.choice(running), world.rng.randbytes(100))
    world.measures["last_commit_spread"] = world.run_until(world.has_spread, within=30.0)
    sees_all = [len(node.alive_seen()) for node in world.nodes]
    assert min(sees_all) == nodes, f"somebody sees {min(sees_all)} of {nodes}"
    packets = sum(node.core.counters["datagrams_out"] for node in world.nodes)
    world.measures["packets_per_node_second"] = packets / nodes / world.now
    return report(world, "safety", "liveness")
