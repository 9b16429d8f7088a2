"""What a kind of fault is: a function of the randomness and the number of nodes; it answers (seconds
from its beginning, operation).
"""

import random
from collections.abc import Callable

from simulations.operations import Operation

Timed = tuple[float, Operation]
Fault = Callable[[random.Random, int], list[Timed]]


def duration(rng: random.Random) -> float:
    """From a blink to longer than a suspicion lasts."""
    return float(0.2 * 300.0 ** rng.random())
