"""The balancers of a worker: one for each upstream, whatever table it is in."""

import random

from node.proxy.balancing.address import Health
from node.proxy.balancing.balancer import Balancer
from node.proxy.balancing.entities import Target
from node.proxy.resolver import Resolver
from node.proxy.table import Table


class Balancers:
    """Follows the table that is served, change by change."""

    def __init__(self, resolver: Resolver, health: Health, rng: random.Random) -> None:
        self._resolver = resolver
        self._health = health
        self._rng = rng
        self._balancers: dict[str, Balancer] = {}
        """By the upstream's id."""
        self._users: dict[str, dict[str, None]] = {}
        """The upstreams by the names of their targets."""

    def __getitem__(self, upstream_id: str) -> Balancer:
        return self._balancers[upstream_id]

    def follow(self, table: Table, whole: bool) -> None:
        """Take in what has changed in a table; all of it when it has replaced another."""
        if whole:
            for upstream_id in list(self._balancers):
                if upstream_id not in table.upstreams.held:
                    self._drop(upstream_id)
        while table.rebalanced:
            self._change(table, table.rebalanced.popitem()[0])

    def name_changed(self, name: str) -> None:
        """The addresses of a name are others now."""
        for upstream_id in self._users.get(name, ()):
            self._balancers[upstream_id].names_changed()

    def _change(self, table: Table, upstream_id: str) -> None:
        upstream = table.upstreams.held.get(upstream_id)
        if upstream is None:
            self._drop(upstream_id)
            return
        targets = tuple(table.targets.of(upstream_id))
        balancer = self._balancers.get(upstream_id)
        if balancer is None:
            self._watch(upstream_id, (), targets)
            self._balancers[upstream_id] = Balancer(
                upstream, targets, self._resolver, self._health, self._rng
            )
        elif (balancer.upstream, balancer.targets) != (upstream, targets):
            self._watch(upstream_id, balancer.targets, targets)
            balancer.change(upstream, targets)

    def _drop(self, upstream_id: str) -> None:
        balancer = self._balancers.pop(upstream_id, None)
        if balancer is not None:
            self._watch(upstream_id, balancer.targets, ())

    def _watch(
        self, upstream_id: str, before: tuple[Target, ...], after: tuple[Target, ...]
    ) -> None:
        """Have the names of an upstream's targets resolved, and those that are gone no more."""
        old = dict.fromkeys(target.host for target in before)
        new = dict.fromkeys(target.host for target in after)
        for name in new:
            if name not in old:
                self._resolver.watch(name)
                self._users.setdefault(name, {})[upstream_id] = None
        for name in old:
            if name not in new:
                self._resolver.unwatch(name)
                users = self._users[name]
                del users[upstream_id]
                if not users:
                    del self._users[name]
