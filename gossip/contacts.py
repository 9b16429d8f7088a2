"""Whom to call when members are missing: the memory that heals partitions of any length.

Probing, gossip and push-pull all go to running members, so two sides that hold each other for
failed never meet again by these. memberlist forgets the failed after 30 s, and five products bolted
a rejoin timer on (hashicorp/memberlist#222); here the failed are called for as long as they are
listed, and their addresses afterwards, ever more seldom; seeds and addresses joined by hand for
ever.
"""

import random
from collections.abc import Iterable

from gossip import limits
from gossip.address import Address
from gossip.member import Member, Status
from gossip.members import Members
from gossip.profiles import Profile


class Contacts:
    """Addresses at which somebody may be, beside those of the running members."""

    def __init__(self, members: Members, profile: Profile, rng: random.Random) -> None:
        self._members = members
        self._profile = profile
        self._rng = rng
        self._seeds: tuple[Address, ...] = ()
        self._joined: dict[Address, None] = {}

    def set_seeds(self, addresses: Iterable[Address]) -> None:
        """What the seeds' names lead to now."""
        self._seeds = tuple(addresses)[: limits.SEEDS_MAX]

    def add(self, addresses: Iterable[Address]) -> None:
        """Addresses to try like seeds; the newest are kept."""
        for address in addresses:
            self._joined.pop(address, None)
            self._joined[address] = None
            if len(self._joined) > limits.CONTACTS_MAX:
                del self._joined[next(iter(self._joined))]

    def silent(self) -> list[Address]:
        """Seeds and joined addresses that no running member, this node included, sits at."""
        taken = self._taken()
        known = dict.fromkeys([*self._seeds, *self._joined])
        return [address for address in known if address not in taken]

    def lost(self) -> bool:
        """Whether there is anybody that could be missed."""
        return bool(self.silent() or self._failed() or self._members.former)

    def to_call(self, now: float) -> list[Address]:
        """Whom to call this time: one failed member, one silent seed, and one member that has left
        the listing as failed. The longer somebody has been gone, the more seldom: in full up to
        ``reconnect_age``, with the probability ``reconnect_age / age`` above it."""
        chosen: list[Address] = []
        failed = self._failed()
        if failed:
            member = self._rng.choice(failed)
            if self._is_due(now - member.status_since):
                chosen.append(member.address)
        silent = self.silent()
        if silent:
            chosen.append(self._rng.choice(silent))
        taken = self._taken()
        former = [one for one in self._members.former.items() if one[0] not in taken]
        if former:
            address, since = self._rng.choice(former)
            if self._is_due(now - since):
                chosen.append(address)
        return list(dict.fromkeys(chosen))

    def _is_due(self, age: float) -> bool:
        return self._rng.random() * age < self._profile.reconnect_age

    def _failed(self) -> list[Member]:
        """Failed members whose address no running member has taken over."""
        taken = self._taken()
        return [
            member
            for member in self._members.listed()
            if member.status is Status.FAILED and member.address not in taken
        ]

    def _taken(self) -> set[Address]:
        taken = {member.address for member in self._members.reachable()}
        taken.add(self._members.me.address)
        return taken
