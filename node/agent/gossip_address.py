"""Where this node gossips, and under which keys it may there."""

import asyncio
import socket

from gossip.address import Address, format_address
from gossip.keyring import Keyring
from node.agent.advertise import default_advertise, is_loopback
from node.agent.authorities import database_addresses
from node.config.listen import HostPort, parse_host_port
from node.config.settings import Settings


class MembershipRefused(Exception):
    """This node must not gossip; the message says why and what to do. It proxies all the same."""


async def resolve(address: HostPort) -> Address:
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


async def advertised(settings: Settings, listen: Address) -> Address:
    """What others are told: as configured, or where a route to the database or the seeds begins."""
    advertise = settings.cluster_advertise
    if advertise is not None:
        return await resolve(advertise)
    others = [parse_host_port(seed) for seed in settings.cluster_seeds]
    routes_to = []
    for other in (*database_addresses(settings), *others):
        try:
            routes_to.append(await resolve(other))
        except MembershipRefused:
            continue
    return default_advertise(listen, routes_to)


def keyring_to_use(
    settings: Settings, listen: Address, address: Address, keyring: Keyring | None
) -> Keyring | None:
    """The keys to talk under, or None to talk in clear, which is for loopback alone."""
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
