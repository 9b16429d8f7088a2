"""A simulated node's tie to a modelled database: it writes, polls and catches up through SQL.

What ``node.agent`` does with an engine of ``store`` is done here with the same engine in virtual
time: a committed changeset goes to the node's core, a poll brings what the node lacks, and the
node's replica stays the log of opaque bodies that it is in every world.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gossip.replica import Changeset as Spread
from gossip.replica import Head as ReplicaHead
from simulations.authority.families import SCHEMAS
from simulations.authority.grounds import Ground, with_schemas
from simulations.authority.ledger import Ledger
from simulations.authority.log import LogAuthority
from simulations.authority.loop import ProcessLoop
from store.authority import Committed, Mutation
from store.changeset import Changeset
from store.engine import Engine
from store.errors import AuthorityUnavailable, HistoryForked
from store.poll import Poll
from store.schema.entity import Schema
from store.version import EMPTY, Head, Version

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

_WALL = 1_700_000_000.0
_RETRY_SECONDS = 0.5


class SqlAuthority(LogAuthority):
    """What a world asks of its authority, told of a modelled database. To the nodes themselves it
    is away: they reach it through their clients, and fill themselves from their peers."""

    def __init__(self, read_head: Callable[[], ReplicaHead]) -> None:
        super().__init__()
        self.available = False
        self._read_head = read_head

    def head(self) -> ReplicaHead:
        return self._read_head()


class AuthorityClient:
    """One node's. It must be told of the node's starts and ends, pauses and resumes."""

    def __init__(
        self,
        world: "World",
        node: "Node",
        ground: Ground,
        ledger: Ledger,
        interval: float,
        schemas: dict[str, Schema] | None = SCHEMAS,
    ) -> None:
        self.node = node
        self.loop = ProcessLoop.on(world.clock)
        self.polls = 0
        self.reason = ""
        """Why its authority can't be used now, as its writers are told; empty when it can."""
        self._world = world
        self._ground = ground
        self._ledger = ledger
        self._rng = random.Random(world.rng.getrandbits(64))
        self._interval = interval
        self._schemas = schemas
        """Of what it writes; None for Kong's."""
        self._engine: Engine | None = None
        self._drawn = b""
        self.confirmed = EMPTY
        """The newest head that this process knows to be the authority's."""

    def started(self) -> None:
        """The node has begun a life."""
        world, rng = self._world, self._rng
        self.confirmed = self._held()
        engine = self._ground.engine(
            self.node.name,
            clock=lambda: _WALL + world.now,
            draw_write_id=self._draw_write_id,
            draw_tag=lambda: rng.getrandbits(64),
            confirmed=lambda: self.confirmed,
            new_id=lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            died=self._died_within,
        )
        self._engine = engine if self._schemas is None else with_schemas(engine, self._schemas)
        self.loop.create_task(self._follow(self._engine))

    def ended(self) -> None:
        """The node's process is gone."""
        self._engine = None
        self._ground.cut(self.node.name, deliver=self._rng.random() < 0.5)
        self.loop.kill()

    def write(self, mutations: Sequence[Mutation]) -> None:
        """Write through this node, as an Admin API request would; the ledger hears of the end."""
        if self._engine is not None:
            self.loop.create_task(self._write(self._engine, tuple(mutations)))

    async def _write(self, engine: Engine, mutations: tuple[Mutation, ...]) -> None:
        write_id = self._drawn = self._rng.randbytes(16)
        self._ledger.begin(write_id, mutations)
        answer: Committed | Exception
        try:
            answer = await engine.write(mutations, origin=self.node.id)
        except Exception as error:
            answer = error
        self._ledger.answered(write_id, answer)
        if isinstance(answer, HistoryForked):
            await self._raise(engine)
        if isinstance(answer, Committed):
            self.confirmed = max(self.confirmed, answer.head)
        if isinstance(answer, Committed) and answer.changeset is not None and self.node.running:
            self.node.application.committed(_spread(answer.changeset))

    async def _follow(self, engine: Engine) -> None:
        """Poll for as long as the process lives."""
        poll = Poll(self._interval, self._rng, self._world.now)
        opened = False
        while True:
            try:
                if not opened:
                    await engine.open()
                    opened = True
                await self._catch_up(engine)
                poll.confirmed(self._world.now)
            except AuthorityUnavailable as error:
                self.reason = str(error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.reason = ""
            await asyncio.sleep(poll.deadline - self._world.now)

    async def _catch_up(self, engine: Engine) -> None:
        self.polls += 1
        if (await engine.standing(self.confirmed)).proof:
            await self._raise(engine)
        following = await engine.log(self._held())
        if following is None:
            await self._load(engine)
        for changeset in following or ():
            self.node.replica.take(*_spread(changeset))
        self.confirmed = max(self.confirmed, self._held())
        head = self.node.replica.head()
        if self.node.running:
            self.node.core.authority_confirmed(ReplicaHead(*head), self.node.now())
            self.node.flush()

    async def _raise(self, engine: Engine) -> None:
        """There is one authority here, so who has proof raises at once."""
        with suppress(AuthorityUnavailable):
            raised = await engine.raise_epoch(self.confirmed, origin=self.node.id)
            self.confirmed = max(self.confirmed, raised.head)

    async def _load(self, engine: Engine) -> None:
        """This node has left the authority's history: read all of it."""
        log = await engine.log(EMPTY)
        if log and log[-1].version > self._held().version:
            _, _, digest, _ = last = log[-1]
            head = ReplicaHead(_spread(last).version, digest)
            self.node.replica.replace(head, [changeset.body for changeset in log])

    def _held(self) -> Head:
        version, digest = self.node.replica.head()
        return Head(Version(*version), digest)

    def _draw_write_id(self) -> bytes:
        """A write's, or else one for a raise."""
        drawn, self._drawn = self._drawn, b""
        return drawn or self._rng.randbytes(16)

    def _died_within(self) -> None:
        """Killed in the middle of its transaction."""
        if self.node.running:
            self.node.crash()
        self.ended()


def _spread(changeset: Changeset) -> Spread:
    """As gossip sees it."""
    epoch, tag, revision = changeset.version
    return Spread((epoch, tag, revision), *changeset[1:])
