"""What every engine of the authority does alike: all that is no write, as plans (store.read)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from store import keyring as keyrings
from store import nodes
from store import read as reads
from store.amendment import Auditor
from store.audit import Amended, Difference, amend
from store.authority import (
    AuthorityInfo,
    Committed,
    Entity,
    KeyringRow,
    Mutation,
    NodeRow,
    Page,
    Query,
    Removal,
    State,
    Tagged,
)
from store.changeset import Changeset
from store.epochs import Comparison, Raise, raise_epoch, read_standing
from store.history import Epoch, Server, Standing
from store.log_trim import LogBounds, trim
from store.plan import Dialect, Plan, Result, Row
from store.schema import Schema, schema
from store.tags import read_tags
from store.transaction import WriteRequest
from store.version import Head
from store.write_queue import MEANINGS, WriteQueue


class Engine(ABC):
    """The greater part of ``store.authority.Authority``, whose docstrings hold here.

    An engine adds open, close, write and the queues of its writes, its dialect, its sources of time
    (Unix seconds) and randomness, the bounds of the log, what is confirmed, and the two ways to run
    a plan.
    """

    _dialect: Dialect
    _clock: Callable[[], float]
    _draw_write_id: Callable[[], bytes]
    _new_id: Callable[[], str]
    _schemas: Callable[[str], Schema]
    _log_bounds: LogBounds
    _confirmed: Callable[[], Head]
    _draw_tag: Callable[[], int]

    def _request(
        self, mutations: Sequence[Mutation], origin: str, write_id: bytes | None
    ) -> WriteRequest:
        """A write to be; without a write id of the client's it gets one of its own."""
        return WriteRequest(
            tuple(mutations),
            write_id if write_id is not None else self._draw_write_id(),
            origin,
            self._clock(),
            is_new=write_id is None,
            new_id=self._new_id,
            schemas=self._schemas,
        )

    @abstractmethod
    async def open(self) -> AuthorityInfo:
        """Connect and check the schema."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of all connections."""

    def _queues(self) -> Sequence[WriteQueue]:
        return ()

    def counters(self) -> Mapping[str, int]:
        """What became of this node's writes."""
        queues = self._queues()
        return {name: sum(queue.counters[name] for queue in queues) for name in MEANINGS}

    @abstractmethod
    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        """Apply all mutations in one transaction, or none."""

    @abstractmethod
    async def _read(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        """Run a plan in one transaction that reads, again if need be. Raises
        AuthorityUnavailable."""

    @abstractmethod
    async def _change(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        """Run a plan in one transaction that may be done twice. Raises AuthorityUnavailable."""

    @abstractmethod
    def _server(self, row: Row | None) -> Server:
        """Which server has answered ``Dialect.server``; None where there is no such statement."""

    def _comparison(self) -> Comparison:
        return Comparison(self._confirmed, self._server)

    async def standing(self, confirmed: Head) -> Standing:
        comparison = self._comparison()
        return await self._change(lambda: read_standing(confirmed, comparison, self._dialect))

    async def raise_epoch(
        self,
        confirmed: Head,
        *,
        origin: str,
        known: Sequence[Head] = (),
        epochs: Sequence[Epoch] = (),
        forced: bool = False,
    ) -> Committed:
        comparison = self._comparison()
        wanted = Raise(
            confirmed,
            tuple(known),
            tuple(epochs),
            forced,
            origin,
            now=self._clock(),
            tag=self._draw_tag(),
            write_id=self._draw_write_id(),
            id=self._new_id(),
        )
        return await self._change(lambda: raise_epoch(wanted, comparison, self._dialect))

    async def get(self, kind: str, key: str) -> Entity | None:
        endpoint_key = schema(kind).endpoint_key
        return await self._read(lambda: reads.read_entity(kind, key, endpoint_key))

    async def list(self, query: Query) -> Page:
        return await self._read(lambda: reads.read_page(query))

    async def tags(
        self, tag: str | None, size: int, after: Tagged | None = None
    ) -> Sequence[Tagged]:
        return await self._read(lambda: read_tags(tag, size, after))

    async def head(self) -> Head:
        return await self._read(reads.read_head)

    async def state(self) -> State:
        return await self._read(reads.read_state)

    async def walk(self, visitor: reads.Visitor, slice_rows: int) -> None:
        await self._read(lambda: reads.walk_state(visitor, slice_rows))

    async def amend(self, difference: Difference, *, origin: str) -> Amended:
        auditor = Auditor(self._draw_write_id(), origin, self._clock(), self._schemas)
        comparison = self._comparison()
        return await self._change(lambda: amend(difference, auditor, comparison, self._dialect))

    async def log(self, after: Head, limit: int = 1000) -> Sequence[Changeset] | None:
        return await self._read(lambda: reads.read_log(after, limit))

    async def trim_log(self, revision: int) -> int:
        """Let go of the oldest log rows, a bounded number; answers how many. ``revision``: the
        head's, or an older one."""
        now = self._clock()
        return await self._change(lambda: trim(revision, now, self._log_bounds))

    async def next_generation(self, node_id: str, floor: int) -> int:
        return await self._change(lambda: nodes.next_generation(node_id, floor))

    async def register(self, row: NodeRow) -> None:
        await self._change(lambda: nodes.register_node(row))

    async def nodes(self) -> Sequence[NodeRow]:
        return await self._read(nodes.read_nodes)

    async def forget(self, node_id: str, generation: int) -> None:
        await self._change(lambda: nodes.forget_node(node_id, generation))

    async def remove(self, removal: Removal) -> None:
        at = self._clock()
        await self._change(lambda: nodes.remove_node(removal, at))

    async def removals(self) -> Sequence[Removal]:
        return await self._read(nodes.read_removals)

    async def keyring(self) -> KeyringRow | None:
        return await self._read(keyrings.read_keyring)

    async def store_keyring(self, row: KeyringRow, expected_counter: int) -> bool:
        return await self._change(lambda: keyrings.store_keyring(row, expected_counter))
