"""This node's part in gossip: who it is there, its key, its transport."""

import asyncio
import random
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gossip.address import Address, format_address
from gossip.core import Gossip
from gossip.events import Event, LeaveFinished
from gossip.identity import Identity
from gossip.keyring import Keyring, key_id
from gossip.member import MemberView, Metadata
from gossip.profiles import PROFILES
from gossip.replica import Changeset, Replica
from gossip.replica import Head as GossipHead
from gossip.sockets import Sockets, bind
from gossip.transport import Transport
from node import logs
from node.agent.advertise import default_advertise, is_loopback
from node.agent.authorities import database_addresses
from node.agent.keys import KeyHolder
from node.agent.sockets import PortTaken
from node.config.listen import HostPort, ListenAddress, parse_host_port
from node.config.settings import Settings
from node.version import VERSION
from store.authority import NodeRow
from store.version import Head, Version

log = logs.get("cluster")


class MembershipRefused(Exception):
    """This node must not gossip; the message says why and what to do. It proxies all the same."""


class Membership:
    """Gossip from start to leave. Before ``start``, and when refused, this node is its only member.

    ``on_event`` is told what the core tells, ``persist`` the incarnation to store.
    """

    def __init__(
        self,
        settings: Settings,
        node_id: str,
        node_name: str,
        replica: Replica,
        on_event: Callable[[Event], None],
        persist: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._node_name = node_name
        self._replica = replica
        self._on_event = on_event
        self._persist = persist
        self._generation = 0
        self._address: Address | None = None
        self._identity: Identity | None = None
        self._gossip: Gossip | None = None
        self._transport: Transport | None = None
        self._left: asyncio.Future[None] | None = None

    async def start(self, generation: int, keyring: Keyring | None) -> None:
        """Bind and begin; ``keyring`` is the newest that is known, if any is.

        Raises PortTaken and MembershipRefused.
        """
        settings = self._settings
        listen = await _resolve(settings.cluster_listen)
        sockets = _bind(listen)
        try:
            listen = sockets.address
            address = await self._advertised(listen)
            keyring = self._keyring(listen, address, keyring)
        except BaseException:
            sockets.close()
            raise
        self._generation, self._address = generation, address
        self._left = asyncio.get_running_loop().create_future()
        self._identity = Identity(self._node_id, generation, secrets.randbits(64))
        self._gossip = Gossip(
            self._identity,
            self._metadata(),
            address,
            settings.cluster_name,
            replace(PROFILES[settings.cluster_profile], failed_ttl=settings.cluster_ttl_on_failure),
            self._replica,
            random.Random(secrets.randbits(256)),
            time.monotonic(),
            key=keyring.keys[0] if keyring is not None else None,
        )
        self._transport = Transport(
            self._gossip, settings.cluster_seeds, self._heard, self._persist
        )
        await self._transport.start(sockets)
        log.notice(
            "gossip started",
            name=self._node_name,
            id=self._node_id,
            generation=generation,
            listen=format_address(listen),
            advertise=format_address(address),
            encrypted=keyring is not None,
            key=key_id(keyring.keys[0]) if keyring is not None else "none",
        )

    async def leave(self) -> None:
        """Tell the others; returns when that has been spread."""
        if self._gossip is None or self._transport is None or self._left is None:
            return
        self._gossip.leave(self._transport.now())
        self._transport.flush()
        await self._left

    async def close(self) -> None:
        """End all traffic."""
        if self._transport is not None:
            await self._transport.close()

    def row(self) -> NodeRow | None:
        """This node's row for the authority; None while it has no address."""
        if self._address is None:
            return None
        return NodeRow(
            self._node_id, self._node_name, self._generation, format_address(self._address)
        )

    def alone(self) -> bool:
        """Whether no other member runs, as far as is known."""
        return not any(
            member.status in ("alive", "suspect") and not member.is_self for member in self._views()
        )

    def peers(self) -> list[Address]:
        """Where the other members are, those that run first."""
        others = [member for member in self._views() if not member.is_self]
        others.sort(key=lambda member: member.status not in ("alive", "suspect"))
        return [member.address for member in others]

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

    def fetch_snapshot(self) -> None:
        """Get the whole state from a peer that holds a newer one, unless that is under way."""
        if self._gossip is not None and self._transport is not None:
            self._gossip.fetch_snapshot(self._transport.now())
            self._transport.flush()

    def join(self, addresses: Sequence[Address]) -> None:
        """Look for members there, now and whenever nobody runs there."""
        if self._gossip is not None and self._transport is not None:
            self._gossip.join(addresses, self._transport.now())
            self._transport.flush()

    async def join_names(self, addresses: Sequence[str]) -> None:
        """Join by ``host:port`` texts. Raises MembershipRefused for one that doesn't resolve."""
        self.join([await _resolve(parse_host_port(address)) for address in addresses])

    def committed(self, early: Sequence[tuple[Version, bytes, bytes, bytes]]) -> None:
        """Push what this node has just committed; ``early`` is what the replica can't take yet."""
        if self._gossip is not None and self._transport is not None:
            self._gossip.committed(self._transport.now(), [Changeset(*one) for one in early])
            self._transport.flush()

    def confirmed(self, head: Head) -> None:
        """The authority itself has shown this head."""
        if self._gossip is not None and self._transport is not None:
            self._gossip.authority_confirmed(GossipHead(*head), self._transport.now())
            self._transport.flush()

    def confirmation_age(self) -> float:
        """Seconds since any member has seen the authority's head; infinite when none has."""
        if self._gossip is None or self._transport is None:
            return float("inf")
        return self._gossip.confirmation_age(self._transport.now())

    def members(self) -> list[dict[str, Any]]:
        """What ``GET /cluster`` lists."""
        return [_shown(member) for member in self._views()]

    def identity(self) -> Identity | None:
        """Who this process is there; None before it takes part."""
        return self._identity

    def keyring(self) -> Keyring | None:
        """What is sent and read under; None in clear."""
        return None

    def offer_keyring(self, keyring: Keyring) -> bool:
        """Adopt and spread it if it is newer than what is in use."""
        return False

    def key_holders(self) -> list[KeyHolder]:
        """All listed members, and which change of keys each has told last."""
        return [
            KeyHolder(member.id, member.name, member.status, None, member.is_self)
            for member in self._views()
        ]

    def counters(self) -> dict[str, int]:
        """Traffic and drops by reason, of the core and of its transport."""
        if self._gossip is None or self._transport is None:
            return {}
        core: Mapping[str, int] = self._gossip.counters
        return {**core, **self._transport.counters}

    def _views(self) -> list[MemberView]:
        if self._gossip is None or self._transport is None:
            return []
        return self._gossip.members(self._transport.now())

    def _heard(self, event: Event) -> None:
        if isinstance(event, LeaveFinished):
            if self._left is not None and not self._left.done():
                self._left.set_result(None)
            return
        self._on_event(event)

    def _metadata(self) -> Metadata:
        settings = self._settings
        return Metadata(
            name=self._node_name,
            role=settings.role,
            zone=settings.cluster_zone,
            version=VERSION,
            proxy=_first(settings.proxy_listen),
            admin=_first(settings.admin_listen),
        )

    async def _advertised(self, listen: Address) -> Address:
        advertise = self._settings.cluster_advertise
        if advertise is not None:
            return await _resolve(advertise)
        others = [parse_host_port(seed) for seed in self._settings.cluster_seeds]
        routes_to = []
        for other in (*database_addresses(self._settings), *others):
            try:
                routes_to.append(await _resolve(other))
            except MembershipRefused:
                continue
        return default_advertise(listen, routes_to)

    def _keyring(
        self, listen: Address, address: Address, keyring: Keyring | None
    ) -> Keyring | None:
        """The keys to talk under, or None to talk in clear, which is for loopback alone."""
        settings = self._settings
        named = settings.cluster_encrypt_key or settings.cluster_keyring_file
        if not named and is_loopback(listen[0]) and is_loopback(address[0]):
            return None
        if keyring is None:
            raise MembershipRefused(
                f"cluster_listen: {format_address(listen)} is reachable from other machines and no "
                "cluster key is known: the authority has not told it yet and cluster_encrypt_key "
                "is not set"
            )
        return keyring


def _bind(listen: Address) -> Sockets:
    try:
        return bind(listen)
    except OSError as error:
        raise PortTaken(str(error.strerror)) from error


async def _resolve(address: HostPort) -> Address:
    """The numeric address of a host, as getaddrinfo prefers. Raises MembershipRefused."""
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(*address, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise MembershipRefused(
            f"'{address}' does not resolve ({error.strerror}); name an address that this node has "
            "and the others can reach"
        ) from error
    return str(infos[0][4][0]), address.port


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
    }
