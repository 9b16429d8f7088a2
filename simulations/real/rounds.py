"""Rounds of faults until the time is over, each drawn, injected, healed, and followed by a calm."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from simulations.real.faults import Fault
from simulations.real.nodes import Node
from simulations.real.world import World

AT_ONCE_MAX = 3
APART_MAX = 3.0
"""Seconds within which the faults of a round begin."""
BREATH_MAX = 2.0
"""Seconds at most of undisturbed traffic after a calm."""


class Deck:
    """Hands out every fault once in an order drawn anew each time, so that none is forgotten."""

    def __init__(self, faults: Sequence[Fault], rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng
        self._left: list[Fault] = []

    def hand(self, most: int, nodes: int) -> list[Fault]:
        """The faults of a round: at most one of the network's and one of the authority's."""
        drawn: list[Fault] = []
        while len(drawn) < most:
            if not self._left:
                self._left = self._rng.sample(self._faults, len(self._faults))
            fault = next((one for one in self._left if _fits(one, drawn, nodes)), None)
            if fault is None:
                break
            self._left.remove(fault)
            drawn.append(fault)
        return drawn


def _fits(fault: Fault, drawn: Sequence[Fault], nodes: int) -> bool:
    if fault in drawn:
        return False
    same = sum(one.scope == fault.scope for one in drawn)
    return same < (nodes if fault.scope == "node" else 1)


async def run_rounds(
    world: World, faults: Sequence[Fault], seconds: float, tell: Callable[[str], None]
) -> None:
    """Inject for so long, and end with a calm."""
    rng = random.Random(world.rng.getrandbits(64))
    deck = Deck(faults, rng)
    deadline = time.monotonic() + seconds
    number = 0
    while time.monotonic() < deadline:
        number += 1
        most = rng.randint(1, min(AT_ONCE_MAX, len(world.nodes)))
        drawn = deck.hand(most, len(world.nodes))
        nodes = rng.sample(world.nodes, len(world.nodes))
        names = [f"{fault.name} {node.name}" for fault, node in zip(drawn, nodes, strict=False)]
        tell(f"{world.clock():7.1f}  round {number}: {', '.join(names)}")
        work = [
            _bring(world, fault, random.Random(rng.getrandbits(64)), nodes[turn % len(nodes)])
            for turn, fault in enumerate(drawn)
        ]
        await asyncio.gather(*work)
        await world.calm()
        last = world.journal.history.calms[-1]
        tell(f"{world.clock():7.1f}  calm after {last.end - last.start:.1f} s  {last.problem}")
        if last.problem:
            return  # what follows would be about a cluster that is broken already
        await asyncio.sleep(rng.random() * BREATH_MAX)


async def _bring(world: World, fault: Fault, rng: random.Random, node: Node) -> None:
    await asyncio.sleep(rng.random() * APART_MAX)
    world.injected[fault.name] += 1
    await fault.bring(world, rng, node)
