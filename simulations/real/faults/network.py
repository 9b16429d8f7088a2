"""Faults of what lies between: weather by the relay, cuts by the kernel."""

import asyncio
import random
from collections.abc import Iterable, Sequence

from simulations.real.faults.kind import Fault
from simulations.real.network import Cut, Protocol
from simulations.real.nodes import Node
from simulations.real.relay import FAIR, Weather
from simulations.real.world import World

SECONDS_MIN, SECONDS_MAX = 2.0, 15.0


def _mild(rng: random.Random, most: float) -> float:
    """A probability, small ones more often; in half of the cases none."""
    return most * rng.random() ** 2 if rng.random() < 0.5 else 0.0


def drawn_weather(rng: random.Random) -> Weather:
    """Bad in at least one way."""
    return Weather(
        loss=rng.choice((0.05, 0.2, 0.5, 1.0)) if rng.random() < 0.5 else 0.0,
        duplication=_mild(rng, 0.5),
        delay=rng.choice((0.1, 0.5, 1.0)),
        delay_max=rng.choice((0.01, 0.1, 1.0)),
        corruption=_mild(rng, 0.5),
        stream_delay=_mild(rng, 0.5),
        stream_corruption=_mild(rng, 0.2),
        stream_reset=_mild(rng, 0.2),
    )


async def _blow(world: World, rng: random.Random, node: Node) -> None:
    weather = drawn_weather(rng)
    some = [node.number] if rng.random() < 0.3 else [each.number for each in world.nodes]
    with world.window("isolated", "storm"):
        world.relay.blow(weather, some)
        try:
            await asyncio.sleep(rng.uniform(SECONDS_MIN, SECONDS_MAX))
        finally:
            world.relay.blow(FAIR, some)


async def _cut_gossip(
    world: World, rng: random.Random, node: Node, protocols: Sequence[Protocol]
) -> None:
    sides = rng.sample(world.nodes, len(world.nodes))
    split = rng.randint(1, len(sides) - 1)
    one, other = sides[:split], sides[split:]
    cuts = _between(one, other, protocols)
    if rng.random() < 0.7:
        cuts |= _between(other, one, protocols)
    fault = "partition" if len(protocols) == 2 else f"partition_{protocols[0]}"
    with world.window("isolated", fault):
        async with world.cut(cuts):
            await asyncio.sleep(rng.uniform(SECONDS_MIN, SECONDS_MAX))


def _between(
    sources: Iterable[Node], targets: Sequence[Node], protocols: Sequence[Protocol]
) -> set[Cut]:
    return {
        Cut(source.number, protocol, target.advertised)
        for source in sources
        for target in targets
        for protocol in protocols
    }


async def _partition(world: World, rng: random.Random, node: Node) -> None:
    await _cut_gossip(world, rng, node, ("udp", "tcp"))


async def _partition_udp(world: World, rng: random.Random, node: Node) -> None:
    await _cut_gossip(world, rng, node, ("udp",))


async def _partition_tcp(world: World, rng: random.Random, node: Node) -> None:
    await _cut_gossip(world, rng, node, ("tcp",))


async def _cut_database(world: World, rng: random.Random, node: Node) -> None:
    cuts = {Cut(node.number, "tcp", port) for port in world.authority.places}
    with world.window("authority", "database_cut", node.name):
        async with world.cut(cuts):
            await asyncio.sleep(rng.uniform(SECONDS_MIN, SECONDS_MAX))


storm = Fault("storm", "network", _blow)
partition = Fault("partition", "network", _partition, "namespaces")
partition_udp = Fault("partition_udp", "network", _partition_udp, "namespaces")
partition_tcp = Fault("partition_tcp", "network", _partition_tcp, "namespaces")
database_cut = Fault("database_cut", "node", _cut_database, "namespaces")
