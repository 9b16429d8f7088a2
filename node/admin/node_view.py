"""What the Admin and status APIs need of the node they run in; the agent satisfies it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from gossip.invalidation import Invalidation
from node.config.settings import Settings
from node.metrics.measures import Measures
from node.named_version import NamedVersion
from node.proxy.health.settings import Checks, Target
from store.authority import Authority, AuthorityInfo, Committed, Entity, Mutation, Page, Query
from store.declarative.document import Document
from store.version import Head, Version


class NotAvailable(Exception):
    """This node can't do what was asked, at all or now; the message says why (answered 503)."""


class NoSuchMember(Exception):
    """No member of that name is listed; the message names it (answered 404)."""


class NoSuchKey(Exception):
    """The keyring holds no key with that id; the message names it (answered 404)."""


class TooManyRequests(Exception):
    """This node does that only so often; ``retry_after`` seconds later there is room (answered
    429)."""

    def __init__(self, problem: str, retry_after: float) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class Conflict(Exception):
    """What was asked for can't be done as things stand; the message says why (answered 409)."""


class KeysStatus(NamedTuple):
    """The cluster's keys and who has them."""

    ids: Sequence[str]
    """What names each key; the first is the one in use."""
    counter: int
    """Number of the last change; 0 before the first."""
    total: int
    """Members that count: those that run, as far as is known."""
    behind: Sequence[str]
    """Names of those that have not told that they have the last change."""


class KeysView(Protocol):
    """The cluster's keys. Ids and counts come out of it, never a key.

    All raise Conflict when the cluster talks in clear, NotAvailable and AuthorityUnavailable when
    this node can't tell or change anything now.
    """

    def status(self) -> KeysStatus: ...

    async def install(self, key: bytes | None, *, replace_unopened: bool) -> tuple[str, bool]:
        """Add a key (a new one is drawn for None), to read by. Its id, and whether it is new."""

    async def use(self, shown_id: str) -> None:
        """Send under this key. Raises NoSuchKey, and Conflict unless all live members have it."""

    async def remove(self, shown_id: str, *, force: bool) -> None:
        """Forget a key. Raises NoSuchKey, Conflict for the one in use, and Conflict unless all
        members, also failed ones, have made the last change; ``force`` leaves that out."""


class Purging(NamedTuple):
    """A purge that is under way to all nodes."""

    origin: str
    """Node id of the node that it comes from."""
    sequence: int
    """Its number among the purges of that process and cache."""


class CachesView(Protocol):
    """What workers have cached."""

    def invalidate(self, what: Invalidation) -> Purging:
        """Have every node forget something. Raises NotAvailable and TooManyRequests."""

    def forget(self, key: str | None) -> None:
        """Have this node alone forget what a key names, or everything."""

    async def peek(self, key: str) -> Sequence[str] | None:
        """The JSON texts cached under a key on this node; None when none are."""


class AddressReport(NamedTuple):
    """One address of a target."""

    host: str
    port: int
    weight: int
    available: bool
    """Whether requests are sent there; true where nothing is checked."""


class TargetReport(NamedTuple):
    """A target with its addresses."""

    target: Target
    addresses: Sequence[AddressReport]
    problem: str
    """Why there are no addresses; empty when there are."""


class TargetHealthView(Protocol):
    """The health of upstreams' targets on this node."""

    def set(self, upstream_id: str, target_id: str, host: str, port: int, *, healthy: bool) -> None:
        """Set a target's health, or with a host that of one address, on every node. Raises
        NotAvailable."""

    async def report(self, target: Target) -> TargetReport:
        """How a target stands; its name may have to be looked up."""

    async def report_upstream(self, upstream_id: str) -> Sequence[TargetReport]:
        """How all targets of an upstream stand."""

    def is_healthy(self, checks: Checks, reports: Sequence[TargetReport]) -> bool:
        """Whether an upstream with these targets is, as a whole, by its threshold."""

    def addresses_by_state(self) -> Mapping[str, int]:
        """How many addresses of targets that are checked are ``healthy`` and ``unhealthy``."""


class LogLevelsView(Protocol):
    """The log's level; a level is a key of node.logs.LEVELS."""

    def current(self) -> str:
        """What is in force on this node."""

    def set_here(self, level: str, seconds: float) -> None:
        """On this node for so long; for 0 seconds: no longer what was set before."""

    def set_everywhere(self, level: str, seconds: float) -> None:
        """The same on every node. Raises NotAvailable."""


class AuthorityStatus(NamedTuple):
    """How the authority looks from this node."""

    reachable: bool
    """Whether the last thing asked of it was answered."""
    reason: str
    """Why it can't be used now; empty when it can."""
    info: AuthorityInfo | None
    """None until it was reached for the first time."""
    split: Literal["", "taken", "refused"] = ""
    """In a split authority: whether writes are taken on this node's side."""
    changed: str = ""
    """Id of the authority that was found in this one's place; empty while none is."""


class Side(NamedTuple):
    """A database server as it was read."""

    server: str
    timeline: int
    head: Head


class SplitStatus(NamedTuple):
    """Another server takes writes under the same authority id, with a history of its own."""

    refuses: bool
    """Whether this node's side takes no writes."""
    other: Side


class HistoryStatus(NamedTuple):
    """The authority, and what this node knows of its history."""

    id: str | None
    reason: str
    """Why it can't be used now; empty when it can."""
    side: Side | None
    """The server that answers; None when none does, or another authority."""
    confirmed: Head
    """The newest head that this node knows to be confirmed."""
    split: SplitStatus | None
    changed: tuple[str, str] | None
    """(id served, id found) while another authority answers in its place."""
    abandoned: Sequence[str]
    """Files of changes that the database has lost, oldest first."""


class HistoryView(Protocol):
    """The authority's history. Raises NotAvailable on a node without a database."""

    async def status(self) -> HistoryStatus: ...

    async def adopt(self) -> str:
        """Keep the history of this node's database; what was done. Raises Conflict when there is
        no other one, AuthorityUnavailable."""


class LoadedDocument(NamedTuple):
    """What came of a declarative document."""

    version: Version
    document: Document | None
    """None when it is what is served already."""


class Fenced(NamedTuple):
    """How far a version has come (DESIGN 4, point 8)."""

    outcome: Literal["complete", "partial", "forked"]
    """``forked``: the history has left that version, so it will never be everywhere."""
    members: int
    """How many counted."""
    missing: Sequence[str]
    """Names of those that were heard and don't have it yet."""
    unreachable: Sequence[str]
    """Names of those that weren't heard."""


class ReplicaFileStatus(NamedTuple):
    """How the replica on this node's disk stands."""

    version: Version | None
    """What it holds; None while nothing of use stands there."""
    problem: str
    """Why it can't be written now; empty when it can."""


class LiveVersion(NamedTuple):
    """What every worker of a node serves."""

    version: Version
    at: float
    """Since when, in Unix seconds."""


class DocumentsView(Protocol):
    """The declarative document of a cluster without a database."""

    async def load(self, text: str, *, unless_served: bool = False) -> LoadedDocument:
        """Take a document as the cluster's whole configuration, and tell the others; nothing is
        done ``unless_served`` when it is what is served. Raises EntityError code 14."""

    async def shown(self) -> str:
        """What is served, as a document."""


class ReplicaView(Protocol):
    """The node's copy of the authority, as far as reading goes. All calls are synchronous."""

    def get(self, kind: str, key: str) -> Entity | None:
        """One entity by id or endpoint key."""

    def list(self, query: Query) -> Page: ...

    def variants(self, kind: str) -> Sequence[str]:
        """Which plugins there are any of, of the kind ``plugins``."""


class NodeView(Protocol):
    """One running node, seen from its HTTP APIs. Nothing here blocks the event loop."""

    @property
    def node_id(self) -> str:
        """UUID, kept across restarts."""

    @property
    def node_name(self) -> str: ...

    @property
    def hostname(self) -> str: ...

    @property
    def version(self) -> str:
        """Software version, ``x.y.z``."""

    @property
    def settings(self) -> Settings:
        """The node's configuration."""

    @property
    def authority(self) -> Authority: ...

    @property
    def replica(self) -> ReplicaView: ...

    @property
    def keys(self) -> KeysView: ...

    @property
    def log_levels(self) -> LogLevelsView: ...

    @property
    def caches(self) -> CachesView: ...

    @property
    def health(self) -> TargetHealthView: ...

    @property
    def history(self) -> HistoryView: ...

    @property
    def documents(self) -> DocumentsView | None:
        """None on a node with a database."""

    @property
    def measures(self) -> Measures:
        """What the node measures, and its Admin API adds to."""

    def settings_public(self) -> dict[str, Any]:
        """The configuration as ``GET /`` shows it: every key, secrets as ``******``."""

    def head(self) -> Head:
        """What this node serves."""

    def state_hash(self) -> bytes | None:
        """The hash of everything that this node serves; None when it isn't known just now."""

    def live(self) -> LiveVersion | None:
        """What every worker of this node serves; None before anything is served."""

    def members(self) -> list[dict[str, Any]]:
        """The members this node knows, itself first, shaped as DESIGN 9 says.

        Keys: id, name, address (``host:port``), status, role, version, zone, incarnation,
        revision, rtt (seconds or None), path (``udp``, ``tcp`` or None), heard (seconds since
        something came from it directly, or None).
        """

    def notices(self) -> Sequence[str]:
        """What an operator should know of this node's identity: that it goes on under another name
        or id, or was forced out. Oldest first, bounded."""

    def authority_status(self) -> AuthorityStatus: ...

    def confirmation_age(self) -> float:
        """Seconds since any member has seen the authority's head; infinite when none has."""

    def replica_file_status(self) -> ReplicaFileStatus: ...

    def replica_problem(self) -> str:
        """What is wrong with the copy of the authority that is served; empty when nothing is known
        to be."""

    def audits(self) -> Mapping[str, Any]:
        """What the audits have found last, by what was looked at; as ``/status`` shows it."""

    def ready(self) -> tuple[bool, str]:
        """Whether this node should get traffic; if not, why."""

    def worker_pids(self) -> Sequence[int]: ...

    def worker_counters(self) -> Mapping[str, int]:
        """Proxy counters, summed over workers: ``connections_*`` and ``total_requests``."""

    def worker_labelled(self) -> Mapping[str, int]:
        """Counters of metrics with labels (node.plugins.series), added up over the workers."""

    def counters(self) -> Mapping[str, int]:
        """The agent's own counters: gossip traffic, drops by reason, and the like."""

    async def commit(self, mutations: Sequence[Mutation], write_id: bytes | None) -> Committed:
        """Write at the authority, serve it here, push it; waits at most 100 ms for own workers.

        Raises EntityError for what is refused, AuthorityUnavailable, OutcomeUnknown.
        """

    async def fence(self, wanted: NamedVersion, seconds: float) -> Fenced:
        """Wait until every member serves a version, for at most so many seconds (above 0, up to
        ``node.admin.limits.FENCE_SECONDS_MAX``). A node that takes no part in gossip can ask
        nobody: ``partial``, of 0 members."""

    async def join(self, addresses: Sequence[str]) -> None:
        """Start joining the cluster by these ``host:port`` texts. Raises NotAvailable."""

    async def force_leave(self, node_id: str) -> None:
        """Force another member out, until it is restarted. Raises NoSuchMember."""

    def leave(self) -> None:
        """Begin to leave the cluster, and to stop: as TERM does."""

    def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        """Events from now on, each a dict with ``type``. Bounded: what a slow reader loses is
        counted and told by an event of type ``dropped``.
        """
