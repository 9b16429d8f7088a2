"""The promises of DESIGN 1 as checks on whole nodes, by their numbers there.

A broken one raises AssertionError out of the step that broke it.
"""

import json
from typing import TYPE_CHECKING, cast

from gossip.replica import Changeset
from node.channel import Version
from simulations.checks import Checks
from simulations.whole.bounds import check_bounds
from simulations.whole.sometimes import COUNTED, MEANINGS
from simulations.whole.truth import State, hot

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.whole.node import WholeNode
    from simulations.whole.worker import WorkerProcess
    from simulations.whole.world import WholeWorld
    from simulations.world import World

_LOOK_SECONDS = 1.0
_ALONE_SECONDS = 1.0
POLL_SECONDS = 5.0
LOOKS_SHARE = 1.5
LOOKS_MORE = 3
"""Two may look at once, before either has heard of the other."""


class Promises(Checks):
    """Watches one world of whole nodes."""

    def __init__(self, world: "WholeWorld") -> None:
        super().__init__(cast("World", world))
        self.sometimes.seen |= dict.fromkeys(MEANINGS, 0)
        self.sometimes.counted |= COUNTED
        self._whole = world
        self._digests: dict[int, bytes] = {}
        """Of what each node's replica held last, by its index."""
        self._answered: dict[bytes, Changeset] = {}
        """Writes whose clients were told that they are committed."""
        self._looked_at = 0
        self._alone: dict[WorkerProcess, float] = {}
        """Workers whose agent was found to be gone, and when."""
        world.schedule(_LOOK_SECONDS, self._look_in_turn)

    # P1: any node takes writes

    def answered(self, node: "Node", changeset: Changeset) -> None:
        """A client was told that its write is committed."""
        self._answered[changeset.digest] = changeset

    def p1_nothing_lost(self) -> None:
        """What was answered is there, unless the authority has lost it."""
        authority = self._whole.authority
        there = {changeset.digest: None for changeset in authority.log}
        for digest, changeset in self._answered.items():
            kept = digest in there or digest in authority.lost
            assert kept, f"P1: {changeset.version} was answered, and is nowhere"

    # P2: consistent prefix, and P8: nothing forged

    def stepped(self, node: "Node") -> None:
        """After each step of a node: what it holds, somebody has committed."""
        super().stepped(node)
        version, digest = node.replica.head()
        if self._digests.get(node.index) != digest:
            self._digests[node.index] = digest
            committed = self._whole.truth.is_committed(version, digest)
            assert committed, f"P8: node {node.index} holds {version}, which nobody has committed"

    def served(self, worker: "WorkerProcess", version: Version) -> None:
        """A worker swaps in what it serves from now on: it is a whole state of the authority, and
        not an earlier one than before."""
        where = f"the worker of node {worker.agent.node.index}"
        states = self._whole.truth.states(version)
        assert states, f"P8: {where} serves {version}, which nobody has committed"
        before = worker.version
        assert version >= before, f"P2: {where} goes back from {before} to {version}"
        worker.version = version
        differences = []
        worker.states = []
        for state in states:
            difference = worker.table.difference(*hot(state))
            if difference:
                differences.append(difference)
            else:
                worker.states.append(state)
        assert worker.states, f"P2: {where} doesn't serve {version}: {differences}"
        held = worker.table.services.held
        hanging = [
            route.id for route in worker.table.routes.held.values() if route.service_id not in held
        ]
        assert not hanging, f"P2: {where} serves route {hanging[0]} without its service"

    def still(self, worker: "WorkerProcess", *, counts_only: bool = False) -> None:
        """At any moment between: what a worker prepares doesn't show in what it serves."""
        differences = []
        for state in worker.states:
            rows, counts = hot(state)
            differences.append(worker.table.difference([] if counts_only else rows, counts))
        where = f"the worker of node {worker.agent.node.index}"
        whole = not differences or "" in differences
        assert whole, f"P2: {where} serves no version at all: {differences}"

    def found(
        self, worker: "WorkerProcess", kind: str, field: str, value: str, texts: tuple[str, ...]
    ) -> None:
        """A look-up has found these: exactly what the version served holds, so that a revoked
        credential never comes back."""
        expected = [_having(state, kind, field, value) for state in worker.states]
        where = f"the worker of node {worker.agent.node.index}"
        told = f"P2: {where} finds {field} {value} at {worker.version} to be {sorted(texts)}"
        assert sorted(texts) in expected, f"{told} instead of {expected}"
        self.sometimes.happened("cold_found" if texts else "cold_not_found")

    def unanswered(self, worker: "WorkerProcess", what: str, since: float) -> None:
        """A look-up hasn't been answered in time, though both processes were well: P5, for it
        needs nobody else."""
        node = worker.agent.node
        well = node.running and worker.agent is node.application.agent and node.awake_at <= since
        where = f"the worker of node {node.index} at {worker.version}"
        assert not well, f"P5: {where} doesn't answer what {what} is"

    # P4, P5, P6: what must have come of it in the end

    def p4_all_alike(self, core: "list[WholeNode]") -> None:
        """All hold what the authority holds, and their workers serve it."""
        head = self._whole.authority.head()
        state = self._whole.truth.state(head.digest)
        rows = sorted(f"{kind} {entity_id} {text}" for (kind, entity_id), text in state.items())
        for node in core:
            assert node.replica.head() == head, f"P4: node {node.index} isn't at the head"
            held = [row.decode() for row in node.replica.state]
            assert held == rows, f"P4: node {node.index} doesn't hold what the authority does"
            worker = node.application.agent.process
            assert worker is not None, f"P4: node {node.index} has no worker"
            serves = f"P4: the worker of node {node.index} serves {worker.version}"
            assert worker.version == head.version, f"{serves}, not {head.version}"
            assert worker.listening, f"P5: the worker of node {node.index} doesn't listen"

    def p6_one_history(self, core: "list[WholeNode]") -> None:
        """Nobody refuses writes any more, and no epoch was raised for nothing."""
        for node in core:
            split = node.application.history.split
            assert split is None, f"P6: node {node.index} still knows of two databases"

    # P7: flat cost, and bounds

    def p7_flat(self, looks: int, seconds: float) -> None:
        """A cluster at rest asks the authority about once per interval, however many nodes it
        has: at least one asks, in each 1.5 intervals (``store.poll``)."""
        most = LOOKS_SHARE * seconds / POLL_SECONDS + LOOKS_MORE
        assert looks <= most, f"P7: {looks} looks at the authority in {seconds:.0f} s at rest"

    def _look_in_turn(self) -> None:
        nodes = self._whole.whole_nodes
        self._looked_at = (self._looked_at + 1) % len(nodes)
        node = nodes[self._looked_at]
        if node.running:
            check_bounds(node)
            worker = node.application.agent.process
            if worker is not None:
                self.still(worker)
            if node.application.history.split is not None:
                self.sometimes.happened("split_known")
        for worker in self._whole.workers_now():
            self._left_alone(worker)
        self._whole.schedule(_LOOK_SECONDS, self._look_in_turn)

    def _left_alone(self, worker: "WorkerProcess") -> None:
        """A worker whose agent is gone is told of nothing new: it ends."""
        if worker.agent.lives:
            self._alone.pop(worker, None)
            return
        since = self._alone.setdefault(worker, self._whole.now)
        where = f"a worker of node {worker.agent.node.index} at {worker.version}"
        alone = self._whole.now - since
        assert alone < _ALONE_SECONDS, f"P2: {where} serves on for {alone:.0f} s without its agent"


def _having(state: State, kind: str, field: str, value: str) -> list[str]:
    found = []
    for (of, _), text in state.items():
        if of == kind:
            held = json.loads(text).get(field)
            if (held["id"] if isinstance(held, dict) else held) == value:
                found.append(text)
    return sorted(found)
