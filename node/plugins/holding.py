"""The plugins of a worker's state: which configuration of each runs for a request.

Of each plugin one configuration runs: the most specific one (Kong: ``lookup_cfg`` in
``runloop/plugins_iterator.lua``). What runs for a route is put together when the route is asked
for, and kept until any plugin changes, which itself costs nothing: a count tells what is out of
date. For a consumer with plugins of its own it is put together anew once it is known who asks.
"""

import json
from typing import NamedTuple

from node.plugins import limits
from node.plugins.chain import NOTHING, Chain, Configured
from node.plugins.interface import Bound
from node.plugins.making import Maker
from node.proxy.entities import EntityRefused
from node.proxy.holding import Holding, Refused
from node.proxy.vaults import Vaults
from node.references import SCHEME

_HTTP_PROTOCOLS = frozenset(("http", "https", "grpc", "grpcs"))

Place = tuple[str, str, str]
"""Ids of route, service and consumer; empty: any."""


class PluginEntity(NamedTuple):
    """A configuration of a plugin, as stored."""

    name: str
    bound: Bound
    config: str
    """JSON, so that two of one text are equal."""

    @property
    def place(self) -> Place:
        return self.bound[1:]


def read_plugin(text: str) -> PluginEntity | None:
    """None for one that doesn't run: disabled, or of the stream subsystem only. As in Kong, which
    of the HTTP protocols it names makes no difference."""
    fields = json.loads(text)
    if not isinstance(fields, dict) or not isinstance(fields.get("name"), str):
        raise EntityRefused("not a JSON object with a name")
    if fields.get("enabled") is False:
        return None
    protocols = fields.get("protocols")
    if protocols and _HTTP_PROTOCOLS.isdisjoint(protocols):
        return None
    return PluginEntity(
        fields["name"],
        Bound(
            str(fields["id"]),
            *(str((fields.get(scope) or {}).get("id") or "") for scope in _SCOPES),
        ),
        json.dumps(fields.get("config") or {}),
    )


_SCOPES = ("route", "service", "consumer")


class Plugins(Holding[PluginEntity]):
    """Those that run, by name and by what they are bound to."""

    def __init__(self, maker: Maker, refused: Refused, vaults: Vaults) -> None:
        super().__init__("plugins", read_plugin, refused)
        self._maker = maker
        self._vaults = vaults
        self._by_name: dict[str, dict[Place, dict[str, Configured]]] = {}
        """The innermost by plugin id: of a place there is one but in the midst of a changeset."""
        self.any = False
        """Whether there is any that runs: without one, requests needn't ask."""
        self._names: list[str] = []
        """In the order in which they run."""
        self._of_consumers: dict[str, int] = {}
        """How many configurations are bound to each consumer."""
        self._changes = 0
        self._chains: dict[Place, tuple[int, Chain]] = {}

    # Which run

    def chain(self, route_id: str, service_id: str, consumer_id: str = "") -> Chain:
        """What runs for a route of a service, for a consumer if it is known who asks; without a
        route, global plugins."""
        if not self._names:
            return NOTHING
        if consumer_id and consumer_id not in self._of_consumers:
            consumer_id = ""
        place = (route_id, service_id, consumer_id)
        known = self._chains.get(place)
        if known is not None and known[0] == self._changes:
            return known[1]
        chain = self._resolve(place)
        if known is None and len(self._chains) >= limits.CHAINS_MAX:
            del self._chains[next(iter(self._chains))]
        self._chains[place] = (self._changes, chain)
        return chain

    def has_own(self, consumer_id: str) -> bool:
        """Whether a plugin is bound to this consumer."""
        return consumer_id in self._of_consumers

    def _resolve(self, place: Place) -> Chain:
        route, service, consumer = place
        places: list[Place] = []
        if consumer:
            places = [
                (route, service, consumer),
                (route, "", consumer),
                ("", service, consumer),
            ]
        places.append((route, service, ""))
        if consumer:
            places.append(("", "", consumer))
        places += [(route, "", ""), ("", service, ""), ("", "", "")]
        chosen: list[Configured] = []
        for name in self._names:
            configured = self._by_name[name]
            for wanted in places:
                here = configured.get(wanted)
                if here:
                    chosen.append(next(iter(here.values())))
                    break
        return Chain(tuple(chosen), not self._of_consumers) if chosen else NOTHING

    # What there is

    def resolve_again(self) -> None:
        """Vaults have changed."""
        for entity_id, entity in self.held.items():
            if SCHEME in entity.config:
                self.displace(entity_id, entity)
                self.place(entity_id, entity)

    def place(self, entity_id: str, entity: PluginEntity) -> None:
        """Make it; one that can't be made answers 500 to what it is for, rather than not run."""
        config = json.loads(entity.config)
        fields = self._maker.config_fields(entity.name)
        if SCHEME in entity.config and fields is not None:
            config = self._vaults.resolved(fields, config)
        configured = self._maker.make(entity.name, entity.bound, config)
        if configured.problem:
            self._refused(
                f"plugins {entity_id} ({entity.name}): {configured.problem}; requests that it is "
                "for are answered with 500"
            )
        by_place = self._by_name.setdefault(entity.name, {})
        by_place.setdefault(entity.place, {})[entity_id] = configured
        if len(by_place) == 1:
            self._sort()
        consumer = entity.bound.consumer_id
        if consumer:
            self._of_consumers[consumer] = self._of_consumers.get(consumer, 0) + 1
        self._changes += 1

    def displace(self, entity_id: str, entity: PluginEntity) -> None:
        by_place = self._by_name[entity.name]
        here = by_place[entity.place]
        del here[entity_id]
        if not here:
            del by_place[entity.place]
        if not by_place:
            del self._by_name[entity.name]
            self._sort()
        consumer = entity.bound.consumer_id
        if consumer:
            self._of_consumers[consumer] -= 1
            if not self._of_consumers[consumer]:
                del self._of_consumers[consumer]
        self._changes += 1

    def is_placed(self, entity_id: str, entity: PluginEntity) -> bool:
        return entity_id in self._by_name.get(entity.name, {}).get(entity.place, {})

    def misplaced(self) -> str:
        placed = sum(len(here) for places in self._by_name.values() for here in places.values())
        return "" if placed == len(self.held) else f"{placed} plugins instead of {len(self.held)}"

    def _sort(self) -> None:
        ranks = {name: self._maker.rank(name) for name in self._by_name}
        self._names = sorted(ranks, key=ranks.__getitem__, reverse=True)
        self.any = bool(self._names)
