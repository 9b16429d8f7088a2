"""This node's part in gossip: who it is there, its key, its transport."""

import asyncio
import math
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gossip.address import Address, format_address
from gossip.core import Gossip
from gossip.cuts import Cuts
from gossip.events import (
    AuthorityAdopted,
    Event,
    ForcedOut,
    IdentityTaken,
    LeaveFinished,
    RegisterChanged,
)
from gossip.fence_questions import Answer as FenceAnswer
from gossip.identity import Identity
from gossip.invalidation import Invalidation
from gossip.keyring import Keyring, key_id
from gossip.member import MemberView, Metadata
from gossip.messages.purges import Purge
from gossip.messages.registers import Register
from gossip.profiles import PROFILES
from gossip.purges import TooManyPurges
from gossip.replica import Changeset, Replica
from gossip.replica import Head as GossipHead
from gossip.sockets import Sockets, bind
from gossip.transport import Transport
from node import logs
from node.admin.node_view import NoSuchMember, NotAvailable, TooManyRequests
from node.agent.advertise import is_numeric
from node.agent.gossip_address import MembershipRefused, advertised, keyring_to_use, resolve
from node.agent.identity import OwnIdentity
from node.agent.keys import KeyHolder
from node.agent.registers import KeptRegisters
from node.agent.sockets import PortTaken
from node.agent.stances import told
from node.config.listen import HostPort, ListenAddress, parse_host_port
from node.config.settings import Settings
from node.version import VERSION
from store.authority import NodeRow, Removal
from store.verdict import Stance
from store.version import Head, Version

log = logs.get("cluster")

Answer = TypeVar("Answer")


class Membership:
    """Gossip from start to leave. Before ``start``, and when refused, this node is its only member.

    May be started again after ``close``. ``on_event`` is told what the core tells.
    """

    def __init__(
        self,
        settings: Settings,
        own: OwnIdentity,
        replica: Replica,
        on_event: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._own = own
        self._replica = replica
        self._on_event = on_event
        self._kept_registers = KeptRegisters(settings.prefix, self._registers)
        self._address: Address | None = None
        self._identity: Identity | None = None
        self._gossip: Gossip | None = None
        self._transport: Transport | None = None
        self._left: asyncio.Future[None] | None = None
        self._ended = False
        """Whether this process was made to take no part any more."""
        self._keeping_address: asyncio.Task[None] | None = None
        self.cuts = Cuts()
        """A partition that this node plays (``node.agent.lifeline``)."""
        self.authority_id = ""
        """Of the authority that this node follows; empty while none is known."""
        self.readers: Callable[[], Iterable[str]] = tuple
        """The node ids of those that read the authority for all."""

    async def start(self, keyring: Keyring | None) -> None:
        """Bind and begin; ``keyring`` is the newest that is known, if any is.

        Raises PortTaken and MembershipRefused.
        """
        settings = self._settings
        listen = await resolve(settings.cluster_listen)
        sockets = _bind(listen)
        try:
            listen = sockets.address
            address = await advertised(settings, listen)
            keyring = keyring_to_use(settings, listen, address, keyring)
        except BaseException:
            sockets.close()
            raise
        self._address, self._ended = address, False
        self._left = asyncio.get_running_loop().create_future()
        self._identity = Identity(self._own.node_id, self._own.generation, secrets.randbits(64))
        self._gossip = Gossip(
            self._identity,
            self._metadata(),
            address,
            settings.cluster_name,
            replace(PROFILES[settings.cluster_profile], failed_ttl=settings.cluster_ttl_on_failure),
            self._replica,
            random.Random(secrets.randbits(256)),
            time.monotonic(),
            keyring=keyring,
        )
        self._gossip.recall_registers(self._kept_registers.load(), time.monotonic())
        self._transport = Transport(
            self._gossip,
            settings.cluster_seeds,
            self._heard,
            self._own.refute,
            self._own.outlive,
            self.cuts,
        )
        await self._transport.start(sockets)
        advertise = settings.cluster_advertise
        if advertise is not None and not is_numeric(advertise.host):
            self._keeping_address = asyncio.create_task(self._keep_address())
        log.notice(
            "gossip started",
            name=self._own.name,
            id=self._own.node_id,
            generation=self._own.generation,
            listen=format_address(listen),
            advertise=format_address(address),
            encrypted=keyring is not None,
            key=key_id(keyring.keys[0]) if keyring is not None else "none",
        )

    def follow(self, authority_id: str) -> None:
        """The replica is a copy of this authority: nodes of others are refused."""
        self.authority_id = authority_id
        if self._gossip is not None and self._transport is not None:
            self._gossip.follow(authority_id, self._transport.now())
            self._transport.flush()

    async def leave(self) -> None:
        """Tell the others; returns when that has been spread."""
        if self._gossip is None or self._transport is None or self._left is None or self._ended:
            return
        self._gossip.leave(self._transport.now())
        self._transport.flush()
        await self._left

    async def close(self) -> None:
        """End all traffic."""
        if self._keeping_address is not None:
            self._keeping_address.cancel()
            await asyncio.wait({self._keeping_address})
            self._keeping_address = None
        if self._transport is not None:
            await self._transport.close()
        await self._kept_registers.finish()

    async def look_up_address(self) -> None:
        """Resolve the host name in ``cluster_advertise`` again; tell the others when it moved."""
        try:
            address = await resolve(self._settings.cluster_advertise or HostPort("", 0))
        except MembershipRefused as error:
            log.warning("cluster_advertise can't be looked up again", reason=str(error))
            return
        if address == self._address or self._gossip is None or self._transport is None:
            return
        log.notice("this node's address has changed", advertise=format_address(address))
        self._address = address
        self._gossip.readvertise(address, self._transport.now())
        self._transport.flush()

    async def _keep_address(self) -> None:
        while True:
            await asyncio.sleep(PROFILES[self._settings.cluster_profile].resolve_interval)
            await self.look_up_address()

    def row(self) -> NodeRow | None:
        """This node's row for the authority; None while it takes no part."""
        if self._address is None or self._ended:
            return None
        return NodeRow(
            self._own.node_id,
            self._own.name,
            self._own.generation,
            format_address(self._address),
        )

    def alone(self) -> bool:
        """Whether no other member runs, as far as is known."""
        return not any(
            member.status in ("alive", "suspect") and not member.is_self for member in self._views()
        )

    def running(self) -> list[Address]:
        """Where other members run."""
        return [
            member.address
            for member in self._views()
            if not member.is_self and member.status in ("alive", "suspect", "leaving")
        ]

    def is_first(self) -> bool:
        """Whether of all live members it is for this one to do what one of them must do."""
        alive = [member.id for member in self._views() if member.status == "alive"]
        return bool(alive) and min(alive) == self._own.node_id

    def running_count(self) -> int:
        """How many members run, this node included, as far as is known."""
        return len(self.running()) + 1

    def alive(self) -> set[str]:
        """Node ids of the live members, this one included."""
        others = {member.id for member in self._views() if member.status == "alive"}
        return others | {self._own.node_id}

    def removed(self, removals: Sequence[Removal]) -> None:
        """These were forced out, whatever gossip says."""

        def tell(gossip: Gossip, now: float) -> None:
            for removal in removals:
                gossip.removed(removal.id, removal.generation, now)

        self._tell(tell)

    def force_leave(self, node_id: str) -> Removal:
        """Force another member out; answers up to which generation. Raises NoSuchMember."""
        if self._gossip is None or self._transport is None:
            raise NoSuchMember(f"No member named '{node_id}'")
        try:
            generation = self._gossip.force_leave(node_id, self._transport.now())
        except KeyError:
            raise NoSuchMember(f"No member named '{node_id}'") from None
        self._transport.flush()
        return Removal(node_id, generation)

    def newest_head(self) -> Version | None:
        """The newest version that a live member is known to hold; None when none is known."""
        return max(
            (
                Version(*member.serving)
                for member in self._views()
                if member.serving is not None and member.status == "alive" and not member.is_self
            ),
            default=None,
        )

    def fetch_snapshot(self, *, damaged: bool = False) -> bool:
        """Come to the state of a peer (``Gossip.fetch_snapshot``); False when none can be asked."""
        return self._ask(lambda gossip, now: gossip.fetch_snapshot(now, damaged=damaged), False)

    def state_confirmed(self) -> None:
        """What this node holds is what the authority does."""
        if self._gossip is not None:
            self._gossip.state_confirmed()

    def join(self, addresses: Sequence[Address]) -> None:
        """Look for members there, now and whenever nobody runs there."""
        self._tell(lambda gossip, now: gossip.join(addresses, now))

    async def join_names(self, addresses: Sequence[str]) -> None:
        """Join by ``host:port`` texts. Raises MembershipRefused for one that doesn't resolve."""
        self.join([await resolve(parse_host_port(address)) for address in addresses])

    def committed(
        self,
        early: Sequence[tuple[Version, bytes, bytes, bytes]],
        shown: Head | None = None,
    ) -> None:
        """Push what this node has just committed; ``early`` is what the replica can't take yet,
        ``shown`` a head that the authority itself has shown with it."""
        waiting = [Changeset(*one) for one in early]

        def tell(gossip: Gossip, now: float) -> None:
            gossip.committed(now, waiting)
            if shown is not None:
                gossip.authority_confirmed(GossipHead(*shown), now)

        self._tell(tell)

    def write_pause(self) -> float:
        """Seconds that a write here is to wait so that the other nodes keep up."""
        return self._look(Gossip.write_pause, 0.0)

    def announce(self) -> None:
        """The replica was replaced here by what others should have, too."""
        self._tell(Gossip.committed)

    def confirmed(self, head: Head) -> None:
        """The authority itself has shown this head."""
        shown, readers = GossipHead(*head), self.readers()
        self._tell(lambda gossip, now: gossip.authority_confirmed(shown, now, readers))

    def purge(self, what: Invalidation) -> Purge:
        """Have every member forget something. Raises NotAvailable where it can't be told, and
        TooManyRequests."""
        if self._gossip is None or self._transport is None or self._ended:
            raise NotAvailable("this node takes no part in gossip, so the others can't be told")
        try:
            made = self._gossip.purge(what, self._transport.now())
        except TooManyPurges as error:
            raise TooManyRequests("too many purges", error.retry_after) from None
        except ValueError as error:
            raise NotAvailable(str(error)) from None
        self._transport.flush()
        return made

    def set_register(self, name: str, value: str | None, seconds: float | None) -> None:
        """Set a register for all members, for so long; None deletes it, or is for ever.
        Raises NotAvailable."""
        if self._gossip is None or self._transport is None or self._ended:
            raise NotAvailable("this node takes no part in gossip, so the others can't be told")
        try:
            self._gossip.set_register(name, value, self._transport.now(), seconds)
        except ValueError as error:
            raise NotAvailable(str(error)) from None
        self._transport.flush()

    def tell_observation(self, body: bytes) -> bool:
        """Tell all members what this node has observed, once; False when they can't be told now."""
        return self._ask(lambda gossip, now: gossip.tell_observation(body, now), False)

    def proxies(self) -> tuple[str, ...]:
        """Node ids of the live members that serve traffic, in order; this one's if it does."""
        found = {
            member.id
            for member in self._views()
            if member.status == "alive" and member.role != "control_plane"
        }
        if self._settings.role != "control_plane":
            found.add(self._own.node_id)
        return tuple(sorted(found))

    def _registers(self) -> list[Register]:
        return self._look(Gossip.kept_registers, [])

    def begin_fence(self, version: Version, seconds: float) -> int | None:
        """Ask everyone who has this version, with the next ``flush``; FenceEnded with this number
        tells the outcome. None while this node takes no part, and can ask nobody.

        Raises TooManyFences.
        """
        left = self._left is not None and self._left.done()
        if self._gossip is None or self._transport is None or self._ended or left:
            return None
        return self._gossip.fence(version, seconds, self._transport.now())

    def answer_fence(self, token: int, answer: FenceAnswer) -> None:
        """How this node stands, which FenceAsked has asked for."""
        self._tell(lambda gossip, now: gossip.fence_answered(token, answer, now))

    def flush(self) -> None:
        """Send what waits to be sent."""
        if self._transport is not None:
            self._transport.flush()

    def confirmation_age(self) -> float:
        """Seconds since any member has seen the authority's head; infinite when none has."""
        return self._look(Gossip.confirmation_age, math.inf)

    def ask_history(self, at_least: Version, mine: Stance) -> list[str]:
        """Ask members at this version or above how their authority stands; their node ids."""
        stance = told(mine)
        return self._ask(lambda gossip, now: gossip.ask_history(at_least, stance, now), [])

    def answer_history(self, asker: str, sequence: int, mine: Stance | None) -> None:
        """Answer a member's question; None when the authority can't be read."""
        stance = None if mine is None else told(mine)
        self._tell(lambda gossip, _: gossip.answer_history(asker, sequence, stance))

    def members(self) -> list[dict[str, Any]]:
        """What ``GET /cluster`` lists."""
        return [_shown(member) for member in self._views()]

    def identity(self) -> Identity | None:
        """Who this process is there; None before it takes part."""
        return self._identity

    def keyring(self) -> Keyring | None:
        """What is sent and read under; None in clear."""
        return self._gossip.keyring if self._gossip is not None else None

    def offer_keyring(self, keyring: Keyring) -> bool:
        """Adopt and spread it if it is newer than what is in use."""
        return self._ask(lambda gossip, now: gossip.offer_keyring(keyring, now), False)

    def key_holders(self) -> list[KeyHolder]:
        """All listed members, and which change of keys each has told last."""
        return [
            KeyHolder(member.id, member.name, member.status, member.keyring, member.is_self)
            for member in self._views()
        ]

    def counters(self) -> dict[str, int]:
        """Traffic and drops by reason, of the core and of its transport."""
        if self._gossip is None or self._transport is None:
            return {}
        core: Mapping[str, int] = self._gossip.counters
        return {**core, **self._transport.counters}

    def _views(self) -> list[MemberView]:
        return self._look(Gossip.members, [])

    def _look(self, look: Callable[[Gossip, float], Answer], otherwise: Answer) -> Answer:
        """What the core says; ``otherwise`` while there is none."""
        if self._gossip is None or self._transport is None:
            return otherwise
        return look(self._gossip, self._transport.now())

    def _ask(self, ask: Callable[[Gossip, float], Answer], otherwise: Answer) -> Answer:
        """The same, and what follows is sent."""
        answer = self._look(ask, otherwise)
        self.flush()
        return answer

    def _tell(self, tell: Callable[[Gossip, float], None]) -> None:
        self._ask(tell, None)

    def _heard(self, event: Event) -> None:
        if isinstance(event, AuthorityAdopted):
            self.authority_id = event.authority
        if isinstance(event, LeaveFinished):
            if self._left is not None and not self._left.done():
                self._left.set_result(None)
            return
        if isinstance(event, RegisterChanged):
            self._kept_registers.changed()
        if isinstance(event, IdentityTaken | ForcedOut):
            self._ended = True
        self._on_event(event)

    def _metadata(self) -> Metadata:
        settings = self._settings
        return Metadata(
            name=self._own.name,
            role=settings.role,
            zone=settings.cluster_zone,
            version=VERSION,
            proxy=_first(settings.proxy_listen),
            admin=_first(settings.admin_listen),
            authority=self.authority_id,
        )


def _bind(listen: Address) -> Sockets:
    try:
        return bind(listen)
    except OSError as error:
        raise PortTaken(str(error.strerror)) from error


def _first(listeners: Sequence[ListenAddress]) -> str:
    return str(listeners[0].address) if listeners else ""


def _shown(member: MemberView) -> dict[str, Any]:
    return {
        "id": member.id,
        "name": member.name,
        "address": format_address(member.address),
        "status": member.status,
        "role": member.role,
        "version": member.version,
        "zone": member.zone,
        "incarnation": member.incarnation,
        "revision": str(Version(*member.serving)) if member.serving is not None else None,
        "rtt": member.rtt,
        "path": member.path,
        "heard": member.heard,
    }
