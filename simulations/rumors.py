"""What becomes of purges and registers: told by what the nodes report, and nothing that they think.

After the faults: whoever was there when something was purged, through a process that lives yet, has
purged it, or made up for it; and all hold the same registers. At every step: a register never goes
back to a lesser rank.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gossip.events import Event, Purged, RegisterChanged
from gossip.invalidation import By, Invalidation
from gossip.messages.registers import Register

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

CACHE = "simulated"

_Life = tuple[int, int]
"""(node's index, its life)."""


class _Made(NamedTuple):
    """A purge, and whose it is: nobody follows the purges of a process that is gone, or that had
    to go on as a later life."""

    text: str
    origin: "Node"
    life: int
    generation: int
    at: float

    @property
    def counts(self) -> bool:
        now = (self.origin.running, self.origin.life, self.origin.generation)
        return now == (True, self.life, self.generation)


class Rumors:
    """Watches one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._begun: dict[_Life, float] = {}
        self._made: list[_Made] = []
        self._done: dict[_Life, dict[str, None]] = {}
        self._whole: dict[_Life, float] = {}
        """When it purged that cache whole, last."""
        self._ranks: dict[tuple[int, int, str], tuple[int, str, int]] = {}
        """(index, life, register) -> its rank."""

    def begins(self, node: "Node") -> None:
        """A process begins, or goes on as a later life."""
        self._begun.setdefault((node.index, node.life), self._world.now)

    def purge(self, node: "Node") -> None:
        """Somebody purges something through a node. Raises TooManyPurges."""
        text = f"purge {len(self._made)}"
        made = _Made(text, node, node.life, node.generation, self._world.now)
        node.core.purge(Invalidation(CACHE, By.KEY, text), node.now())
        self._made.append(made)
        node.flush()

    def observed(self, node: "Node", event: Event) -> None:
        """After each event that a node reports."""
        life = (node.index, node.life)
        if isinstance(event, Purged) and event.what.by is By.ALL:
            self._whole[life] = self._world.now
        elif isinstance(event, Purged):
            self._done.setdefault(life, {})[event.what.text] = None
        elif isinstance(event, RegisterChanged):
            self._check_rank(node, event)

    def _check_rank(self, node: "Node", event: RegisterChanged) -> None:
        held = next(
            (one for one in node.core.kept_registers(node.now()) if one.name == event.name), None
        )
        if held is None:
            return
        key = (node.index, node.life, event.name)
        before, self._ranks[key] = self._ranks.get(key), held.rank
        where = f"node {node.index} holds '{event.name}' at {held.rank}"
        assert before is None or held.rank >= before, f"{where}: it was at {before}"
        if before is not None and before != held.rank and before[0] == held.counter:
            self._world.happened("register_contested")
        if before == held.rank and event.value is None:
            self._world.happened("register_over")

    def differences(self, core: Sequence["Node"]) -> str:
        """What a healed core still has to tell each other; empty when nothing is left."""
        made = [one for one in self._made if one.counts and one.origin in core]
        for node in core:
            life = (node.index, node.life)
            done, begun = self._done.get(life, {}), self._begun[life]
            whole = self._whole.get(life, 0.0)
            for one in made:
                if begun <= one.at and whole < one.at and one.text not in done:
                    origin = one.origin.index
                    return f"node {node.index} hasn't done '{one.text}' of node {origin}"
        first = core[0]
        for node in core[1:]:
            mine, others = _registers(first), _registers(node)
            if mine != others:
                return f"nodes {first.index} and {node.index} have registers {mine} and {others}"
        return ""


def _registers(node: "Node") -> list[Register]:
    kept = node.core.kept_registers(node.now())
    return [register._replace(remaining=None) for register in kept]
