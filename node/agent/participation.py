"""This node's lives in the cluster: each begun with the next generation, under an id of its own.

A node id may turn out to be another process' (a copied prefix): then this process goes on as a new
node. It may be forced out: then it goes on proxying, alone, until it is restarted.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from gossip.address import format_address
from gossip.events import (
    Event,
    ForcedOut,
    ForeignAuthority,
    IdentityTaken,
    LedBack,
    NameKept,
    Renamed,
)
from gossip.limits import CONTACTS_MAX
from node import logs
from node.agent.gossip_address import MembershipRefused
from node.agent.identity import OwnIdentity
from node.agent.keys import Keys
from node.agent.limits import GOSSIP_RETRY_SECONDS, NOTICES_MAX
from node.agent.membership import Membership
from node.agent.peers import Peers
from node.agent.removals import Removals
from store.authority import Authority
from store.errors import AuthorityUnavailable

log = logs.get("cluster")


class Participation:
    """Takes part in gossip, and begins anew when it must."""

    def __init__(
        self,
        authority: Authority,
        identity: OwnIdentity,
        membership: Membership,
        keys: Keys,
        peers: Peers,
        removals: Removals,
        is_reachable: Callable[[], bool],
    ) -> None:
        self._authority = authority
        self._is_reachable = is_reachable
        self._identity = identity
        self._membership = membership
        self._keys = keys
        self._peers = peers
        self._removals = removals
        self._notices: deque[str] = deque(maxlen=NOTICES_MAX)
        self.asked_at: float | None = None
        """Since when those that are known have been asked to let this node in, or can't be
        (monotonic seconds)."""
        self._ending: asyncio.Queue[IdentityTaken | ForcedOut] = asyncio.Queue()

    @property
    def has_asked(self) -> bool:
        """Whether they have been asked."""
        return self.asked_at is not None

    def notices(self) -> list[str]:
        """What an operator should know of this node's identity, oldest first."""
        return list(self._notices)

    async def run(self) -> None:
        """Take part until cancelled."""
        while True:
            await self._begin()
            ending = await self._ending.get()
            await self._membership.close()
            if isinstance(ending, ForcedOut):
                return
            former = self._identity.node_id
            self._identity.renew()
            self._tell(
                f"the node id {former} is also used by the process at "
                f"{format_address(ending.address)}, which keeps it; this node goes on as "
                f"{self._identity.node_id}: was its prefix copied?"
            )

    def heard(self, event: Event) -> bool:
        """What the core tells of this node's identity; False when it is about something else."""
        match event:
            case IdentityTaken():
                self._ending.put_nowait(event)
            case ForcedOut(accuser, generation):
                self._ending.put_nowait(event)
                who = f"node {accuser}" if accuser else "the authority"
                self._tell(
                    f"this node was forced out of the cluster by {who} (generation {generation}); "
                    "it goes on proxying, and rejoins when it is restarted"
                )
            case Renamed(name, wanted, holder):
                self._identity.name = name
                self._tell(
                    f"this node goes on as {name}: the node at {format_address(holder)} has the "
                    f"name {wanted}; set another node_name"
                )
            case NameKept(name, address):
                self._tell(
                    f"the node at {format_address(address)} has this node's name {name} too, and "
                    "should go on under another; set another node_name there"
                )
            case ForeignAuthority(name, address, authority):
                self._tell(
                    f"two databases in one cluster: the node {name} at {format_address(address)} "
                    f"has the authority {authority}, this one {self._membership.authority_id}; "
                    "each refuses the other. Point both at one database (a SQLite file serves the "
                    "nodes of one machine, at one sqlite_path; several machines need Postgres), or "
                    "give the clusters different values of cluster_name"
                )
            case LedBack(address):
                self._tell(
                    f"a peer advertises an address that leads back to itself: what is sent to "
                    f"{format_address(address)} arrives at this node; set cluster_advertise on the "
                    "peer to an address that the others can reach"
                )
            case _:
                return False
        return True

    async def _begin(self) -> None:
        """Start gossip: at once with a key (or without need of one), else when the authority has
        told it. The next generation is stored before the first packet leaves."""
        identity = self._identity
        generation = identity.generation + 1
        if self._is_reachable():
            with contextlib.suppress(AuthorityUnavailable):
                generation = await self._authority.next_generation(
                    identity.node_id, identity.generation
                )
        identity.begin(generation)
        told = ""
        while True:
            try:
                await self._membership.start(self._keys.current())
            except MembershipRefused as error:
                self._note_asked()
                if str(error) != told:
                    told = str(error)
                    log.error("this node takes no part in gossip", reason=told)
                await asyncio.sleep(GOSSIP_RETRY_SECONDS)
            else:
                break
        self._keys.gossip_started()
        self._membership.removed(self._removals.pending())
        # The latest last: of more than there is room for, those are kept.
        self._membership.join(self._peers.known()[:CONTACTS_MAX][::-1])
        self._note_asked()

    def _note_asked(self) -> None:
        if self.asked_at is None:
            self.asked_at = time.monotonic()

    def _tell(self, notice: str) -> None:
        if notice not in self._notices:
            self._notices.append(notice)
        log.error(notice)
