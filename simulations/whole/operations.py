"""What clients, disks, workers and the authority do in a world of whole nodes.

Operations like those of ``simulations.operations``; ``Of`` is for the whole world alone.
"""

import random
from dataclasses import dataclass
from typing import cast

from simulations.operations import Operation
from simulations.whole import configuration
from simulations.whole.authority import AtCommit
from simulations.whole.configuration import CONSUMERS, KEYS, WORDS
from simulations.whole.hostile import Hostile
from simulations.whole.insider import Insider, flood
from simulations.whole.node import Answer, WholeNode
from simulations.whole.world import WholeWorld
from simulations.world import World
from store.history import Server


class WholeOperation(Operation):
    """One that needs whole nodes."""

    def __call__(self, world: World) -> None:
        self.do(cast("WholeWorld", world))

    def do(self, world: WholeWorld) -> None:
        raise NotImplementedError


def _able(node: WholeNode) -> bool:
    return node.running and not node.paused and not node.left and not node.is_stranger


@dataclass(frozen=True)
class ClientWrites(WholeOperation):
    """A client writes through a node that runs; ``expected`` is what it must be answered."""

    node: int
    size: int = 0
    expected: Answer | None = None

    def do(self, world: WholeWorld) -> None:
        node = world.whole_nodes[self.node]
        if not _able(node):
            return
        rng = random.Random(world.rng.getrandbits(64))
        state = world.truth.state(world.authority_of(node).head().digest)
        body = configuration.body_of(rng, configuration.draw(rng, state), self.size)
        answer = node.application.ask(body)
        where = f"node {node.index} answers a write with {answer}"
        assert self.expected in (None, answer), f"P1: {where}, not {self.expected}"


@dataclass(frozen=True)
class Request(WholeOperation):
    """A client shows a key at a node's proxy, whose owner is looked up then."""

    node: int
    word: int
    owner: int

    def do(self, world: WholeWorld) -> None:
        node = world.whole_nodes[self.node]
        worker = node.application.agent.process if node.running else None
        if worker is not None and worker.listening:
            worker.look_up(KEYS, "key", WORDS[self.word % len(WORDS)])
            worker.look_up(CONSUMERS, "id", configuration.entity_id(CONSUMERS, self.owner))
            worker.look_up(KEYS, "consumer", configuration.entity_id(CONSUMERS, self.owner))


@dataclass(frozen=True)
class KillWorker(WholeOperation):
    """A worker dies; its agent starts another."""

    node: int

    def do(self, world: WholeWorld) -> None:
        node = world.whole_nodes[self.node]
        slot = node.application.agent.slot if _able(node) else None
        if slot is not None and not slot.process.ended:
            world.happened("worker_killed")
            slot.kill()


@dataclass(frozen=True)
class DamageReplica(WholeOperation):
    """A disk that lies: the replica file can't be read any more."""

    node: int

    def do(self, world: WholeWorld) -> None:
        world.whole_nodes[self.node].served.file.damaged = True


@dataclass(frozen=True)
class LoseAtCommit(WholeOperation):
    """The next commit's connection is lost, and it has happened or not; or its writer dies."""

    what: AtCommit

    def do(self, world: WholeWorld) -> None:
        for authority in world.authorities():
            authority.at_commit = self.what


@dataclass(frozen=True)
class SlowAuthority(WholeOperation):
    """Answers to commits take so long."""

    seconds: float

    def do(self, world: WholeWorld) -> None:
        for authority in world.authorities():
            authority.seconds = self.seconds


@dataclass(frozen=True)
class TrimLog(WholeOperation):
    """The authority's log begins later: who is further behind must take the whole state."""

    kept: int

    def do(self, world: WholeWorld) -> None:
        for authority in world.authorities():
            authority.trim(self.kept)
        world.happened("log_trimmed")


@dataclass(frozen=True)
class LoseCommits(WholeOperation):
    """A standby that lags takes over; or, ``restored``, an old image is put in its place, on the
    same server. Some of what it had committed is lost."""

    lost: int
    restored: bool = False

    def do(self, world: WholeWorld) -> None:
        authority = world.authority
        count = min(self.lost, len(authority.log))
        server = authority.server if self.restored else promoted(authority.server)
        authority.lose(count, server)
        if count:
            world.happened("restored" if self.restored else "commits_lost")


@dataclass(frozen=True)
class Follow(WholeOperation):
    """A node has read the id of its authority."""

    node: int
    authority: str

    def do(self, world: WholeWorld) -> None:
        node = world.whole_nodes[self.node]
        if node.running:
            world.checks.excuse(node)
            node.core.follow(self.authority, node.now())
            node.flush()


@dataclass(frozen=True)
class Attack(WholeOperation):
    """Somebody without the key begins to send what he can."""

    gap: float
    garbage_only: bool = False

    def do(self, world: WholeWorld) -> None:
        world.hostile = Hostile(world, self.gap, garbage_only=self.garbage_only)


@dataclass(frozen=True)
class Flood(WholeOperation):
    """A member sends another one more changesets that must wait than may wait there."""

    node: int
    victim: int

    def do(self, world: WholeWorld) -> None:
        node, victim = world.whole_nodes[self.node], world.whole_nodes[self.victim]
        if _able(node) and victim is not node:
            flood(node, victim, random.Random(world.rng.getrandbits(64)))


@dataclass(frozen=True)
class Lie(WholeOperation):
    """A member begins to lie."""

    node: int
    gap: float
    raising: bool = True
    """Whether it makes up epochs that fit on what is held."""

    def do(self, world: WholeWorld) -> None:
        node = world.whole_nodes[self.node]
        world.insider = Insider(world, node, self.gap, raising=self.raising)


@dataclass(frozen=True)
class StopLying(WholeOperation):
    """It tells the truth again."""

    def do(self, world: WholeWorld) -> None:
        assert world.insider is not None, "nobody lies"
        world.insider.stop()


@dataclass(frozen=True)
class SplitTheDatabase(WholeOperation):
    """A standby is promoted while the database goes on, and some nodes reach it."""

    nodes: tuple[int, ...]

    def do(self, world: WholeWorld) -> None:
        if world.databases:
            return
        twin = world.authority.twin(promoted(world.authority.server))
        world.databases = dict.fromkeys(self.nodes, twin)
        world.happened("database_split")


@dataclass(frozen=True)
class StopOneDatabase(WholeOperation):
    """Of two databases the older one is stopped; or, the ``younger`` one."""

    younger: bool = False

    def do(self, world: WholeWorld) -> None:
        if not world.databases:
            return
        twin = world.authorities()[-1]
        stopped, left = (twin, world.authority) if self.younger else (world.authority, twin)
        there = {changeset.digest: None for changeset in left.log}
        for changeset in stopped.log:
            if changeset.digest not in there:
                left.lost[changeset.digest] = None
        left.raises = max(left.raises, stopped.raises)
        left.available = left.available or stopped.available
        world.authority, world.databases = left, {}


def promoted(server: Server) -> Server:
    """The one that takes over."""
    timeline = server.timeline + 1
    return Server(f"db-{timeline}", timeline)
