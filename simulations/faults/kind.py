"""What a kind of fault is: a function of the randomness and the number of nodes, which answers what
is done and when.
"""

import random
from collections.abc import Callable

from simulations.operations import Operation

Timed = tuple[float, Operation]
"""(seconds from the fault's beginning, what is done)."""
Fault = Callable[[random.Random, int], list[Timed]]


def duration(rng: random.Random) -> float:
    """From a blink to longer than a suspicion lasts."""
    return float(0.2 * 300.0 ** rng.random())
