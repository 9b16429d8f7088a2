"""The authority: the one authoritative copy of the configuration, behind one interface.

``store.sqlite`` (and ``store.postgres``) satisfy it, and pass one contract suite.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from store.changeset import Change, Changeset
from store.history import Epoch, Standing
from store.version import Head

if TYPE_CHECKING:
    from store.audit import Amended, Difference
    from store.read import Visitor

Entity = dict[str, Any]
"""A decoded entity, shaped as the Admin API shows it: foreign keys are ``{"id": …}``."""


Source = Literal["client", "document", "store"]
"""Who gives the fields of an entity. A document gives internal ones, too, and no time left, as it
can't say from when. What comes from a store isn't transformed once more: a hashed password."""


IfMatch = tuple[str, ...]
"""Only if the entity is there and its content hash (``store.canonical``) is one of these, or
ANY_CONTENT is one of them; empty for no condition. Else PreconditionFailed."""

ANY_CONTENT = "*"


@dataclass(frozen=True, slots=True)
class Create:
    """Insert a new entity (POST on a collection). ``fields`` is the client's input, unvalidated."""

    kind: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge ``fields`` into the entity named by ``key`` (an id or its endpoint key, e.g. its name).

    A missing entity is EntityError code 6.
    """

    kind: str
    key: str
    fields: Mapping[str, Any]
    if_match: IfMatch = ()


@dataclass(frozen=True, slots=True)
class Put:
    """Replace or create the entity named by ``key`` with ``fields`` and defaults (upsert)."""

    kind: str
    key: str
    fields: Mapping[str, Any]
    source: Source = "client"
    if_match: IfMatch = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the entity named by ``key``; one that is missing is no error and no change."""

    kind: str
    key: str
    expired_only: bool = False
    """Only if it has expired by the writer's clock: meanwhile, somebody may have prolonged it."""
    if_match: IfMatch = ()


@dataclass(frozen=True, slots=True)
class Replace:
    """Put and delete many rows at once, made from the state at a head; StateMoved when what was
    written since then has to do with them.

    Whoever makes them has seen that whole state, and answers for what comes of it: every entity
    valid, no unique value twice, no reference to nothing. Between the rows there is no order, so
    two may exchange their names.
    """

    changes: tuple[Change, ...]
    """The rows as they are to be, one change a row."""
    at: Head


Mutation = Create | Patch | Put | Delete | Replace


def weight(mutations: Sequence[Mutation]) -> int:
    """How many rows they are about, by which a write is bounded."""
    return sum(len(item.changes) if isinstance(item, Replace) else 1 for item in mutations)


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a write."""

    head: Head
    """The authority's head after the write."""
    changeset: Changeset | None
    """What to push; None when nothing changed (and then no revision was taken)."""
    entities: tuple[Entity | None, ...]
    """One per mutation: the entity after it, None for a deletion."""
    changes: tuple[Change, ...] = ()
    """What the changeset says."""


@dataclass(frozen=True, slots=True)
class State:
    """The whole state at one head, read in one transaction."""

    head: Head
    entities: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, ordered by id."""

    entities: tuple[Entity, ...]
    next_id: str | None
    """The id after which the next page begins; None on the last one."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node's row in the authority, by which nodes find each other (DESIGN 6)."""

    id: str
    name: str
    generation: int
    address: str
    """``host:port`` of its gossip listener as others reach it (cluster_advertise)."""


@dataclass(frozen=True, slots=True)
class KeyringRow:
    """The cluster's keys as they are kept. Of two the greater (counter, author, tag) holds."""

    counter: int
    """From 1; each change adds one."""
    author: str
    """Node id of who made the change."""
    tag: int
    """Its process tag, 64 bits."""
    wrapped: bytes = field(repr=False)
    """Opaque here; at most KEYRING_BYTES_MAX."""


class Removal(NamedTuple):
    """A node that was forced out of the cluster."""

    id: str
    generation: int
    """Up to which: only a later life brings the node back."""


@dataclass(frozen=True, slots=True)
class AuthorityInfo:
    """What bootstrap put there, and the keyring."""

    id: str
    """Authority id, a UUID: tells one authority from another, kept by backup and restore."""
    cluster_key: bytes = field(repr=False)
    """32 random bytes; the cluster's gossip key unless configuration names another."""
    schema_version: int
    keyring: KeyringRow | None = None
    """None before the first change of keys, and while the schema has no place for it."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which entities a list asks for."""

    kind: str
    size: int = 100
    after_id: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    """Foreign key field -> id that it must name, e.g. {"service": "…"} for a service's routes."""
    claim: tuple[str, str] | None = None
    """(index, value) of ``Schema.claims``: the one entity that has it."""
    tags_all: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()


class Tagged(NamedTuple):
    """One use of a tag."""

    tag: str
    kind: str
    id: str


class Authority(Protocol):
    """The authority. Every method raises AuthorityUnavailable when it can't be reached in time."""

    async def open(self) -> AuthorityInfo:
        """Connect and check the schema. Raises SchemaMismatch when it isn't the one we know.

        May be called again after a failure; close() ends it.
        """

    async def close(self) -> None: ...

    def counters(self) -> Mapping[str, int]:
        """What became of this node's writes, by the names of ``store.write_queue.MEANINGS``."""

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        """Apply all mutations in one transaction, or none. Raises EntityError for what is refused.

        When ``write_id`` (16 bytes) was committed before, nothing is done and the outcome of that
        write is answered. Raises HistoryForked, and nothing is written, on proof that what this
        node knows to be confirmed is no part of the authority's history.
        """

    async def standing(self, confirmed: Head) -> Standing:
        """How the server that takes writes stands to a head that was confirmed before."""

    async def raise_epoch(
        self,
        confirmed: Head,
        *,
        origin: str,
        known: Sequence[Head] = (),
        epochs: Sequence[Epoch] = (),
        forced: bool = False,
    ) -> Committed:
        """Begin a new epoch above the authority's and the confirmed one, by a changeset that
        follows the authority's head and records where the history of ``confirmed`` was left.

        Only on proof, looked for again under the head row's lock, or when ``forced`` by an
        operator; else nothing is done, and the authority's head is answered without a changeset.
        ``known``: heads of the confirmed history, newest first, as far as the caller remembers;
        ``epochs``: its records (``Replica.heads`` and ``Replica.epochs`` of who follows it).
        Done twice it raises once.
        """

    async def get(self, kind: str, key: str) -> Entity | None:
        """One entity by id or endpoint key."""

    async def list(self, query: Query) -> Page: ...

    async def tags(
        self, tag: str | None, size: int, after: Tagged | None = None
    ) -> Sequence[Tagged]:
        """At most ``size`` uses of a tag (None: of any), those after ``after``, in order."""

    async def head(self) -> Head: ...

    async def state(self) -> State: ...

    async def walk(self, visitor: "Visitor", slice_rows: int) -> None:
        """Show the whole state at one head, so many rows at a time, to one who doesn't keep it.
        Possibly in a thread of its own, and again from the beginning."""

    async def amend(self, difference: "Difference", *, origin: str) -> "Amended":
        """Write as a changeset what the state table holds and history doesn't (``store.audit``).
        Done twice it is done once."""

    async def log(self, after: Head, limit: int = 1000) -> Sequence[Changeset] | None:
        """Committed changesets that follow ``after``, oldest first.

        None when the log was trimmed below it or ``after`` isn't part of this history.
        """

    async def watch(self, heard: Callable[[int], None]) -> None:
        """Tell ``heard`` the newest revision whenever anybody may have committed one, until
        cancelled: a hint, that comes late or not at all while the way there is broken.

        Raises AuthorityUnavailable when it can't be watched any more; what was committed meanwhile
        is then found by reading.
        """

    async def next_generation(self, node_id: str, floor: int) -> int:
        """Store and answer 1 + max(floor, the highest generation stored for this node id, that up
        to which it was removed)."""

    async def register(self, row: NodeRow) -> None:
        """Store a node's row, unless a younger process of it has stored its own, or it was removed
        up to this generation."""

    async def nodes(self) -> Sequence[NodeRow]:
        """The rows of all nodes that weren't removed up to their generation."""

    async def forget(self, node_id: str, generation: int) -> None:
        """Delete a node's row unless it is of a higher generation."""

    async def remove(self, removal: Removal) -> None:
        """Keep that a node was forced out, and delete its row; twice is no harm.

        Raises SchemaMismatch when the schema has no place for it yet.
        """

    async def removals(self) -> Sequence[Removal]:
        """Nodes that were forced out, the latest first, at most ``REMOVALS_MAX``."""

    async def keyring(self) -> KeyringRow | None:
        """The keyring; None before the first change of keys."""

    async def store_keyring(self, row: KeyringRow, expected_counter: int) -> bool:
        """Put a keyring in the place of the one with that counter (0: of none).

        False when another one is there: of two changes at once exactly one is stored. Raises
        SchemaMismatch when the schema has no place for it yet.
        """
