"""What a run has shown."""

from typing import NamedTuple

from simulations.world import World


class Report(NamedTuple):
    """Times are virtual seconds."""

    virtual_seconds: float
    events: int
    trace_hash: str
    verdicts: dict[str, str]
    """What was judged -> ``ok``; a run that fails raises instead."""
    measures: dict[str, float]
    sometimes: dict[str, int]
    """How often each of ``simulations.sometimes`` happened."""


def report(world: World, *verdicts: str) -> Report:
    """Of a world whose run is over."""
    for node in world.nodes:
        if node.running:
            world.checks.sometimes.collect(node)
    return Report(
        round(world.now, 6),
        world.clock.events,
        world.trace_hash,
        dict.fromkeys(verdicts, "ok"),
        {name: round(value, 6) for name, value in world.measures.items()},
        {name: count for name, count in world.checks.sometimes.seen.items() if count},
    )
