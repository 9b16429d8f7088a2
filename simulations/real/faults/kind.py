"""What a fault is: something that is done to the cluster, and undone."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from simulations.real.nodes import Node
from simulations.real.world import World

Scope = Literal["node", "network", "authority"]
Need = Literal["namespaces"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind. ``bring`` injects it into a node (those of other scopes ignore which), waits, and
    undoes it; everything that may fail meanwhile is in the windows that it opens."""

    name: str
    scope: Scope
    """Of the network's and the authority's only one at a time; of the nodes', one per node."""
    bring: Callable[[World, random.Random, Node], Awaitable[None]]
    needs: Need | None = None
