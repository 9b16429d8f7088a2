"""The routing state of a worker at one version: all that decides what is done with a request.

A changeset is applied whole, between two requests; the work is in proportion to what it changes.
A change of a service touches none of the routes that lead to it, which may be all there are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from node.channel import Change, Version
from node.plugins.holding import Plugins
from node.plugins.making import NO_PLUGINS, Maker
from node.proxy.balancing.holdings import Targets, Upstreams
from node.proxy.balancing.peer import Peer
from node.proxy.certificates import Authorities, Certificates, Snis
from node.proxy.entities import Route, Service, read_route, read_service
from node.proxy.holding import Holding, Refused
from node.proxy.resolver import literal_of
from node.proxy.router import Match, Request, Router
from node.proxy.traditional import TraditionalRouter
from node.proxy.vaults import Vaults

_HTTP_PROTOCOLS = ("http", "https", "grpc", "grpcs")
"""Routes of the stream subsystem are no concern of an HTTP listener."""


_ASKED_EACH_TIME = frozenset(("certificates", "snis", "ca_certificates", "upstreams", "targets"))
"""Kinds that no decision rests on: connections and tries look there each time."""


class Services(Holding[Service]):
    """Kong leaves out routes of disabled services (kong/runloop/handler.lua), not serviceless
    ones."""

    def __init__(self, router: Router, refused: Refused) -> None:
        super().__init__("services", read_service, refused)
        self._router = router
        self.peers: dict[str, tuple[Service, Peer]] = {}
        """Where those are whose host is an address: such requests need no balancer."""

    def place(self, entity_id: str, entity: Service) -> None:
        self._router.pass_over(entity_id, not entity.enabled)
        literal = literal_of(entity.host)
        if literal is not None:
            peer = Peer(literal.host, entity.port, (entity.host_header, entity.host_header))
            self.peers[entity_id] = (entity, peer)

    def displace(self, entity_id: str, entity: Service) -> None:
        self._router.pass_over(entity_id, False)
        self.peers.pop(entity_id, None)

    def is_placed(self, entity_id: str, entity: Service) -> bool:
        known = self.peers.get(entity_id)
        placed = literal_of(entity.host) is None if known is None else known[0] is entity
        return placed and self._router.passes_over(entity_id) == (not entity.enabled)


class Routes(Holding[Route]):
    """Those of HTTP, in the router."""

    def __init__(
        self, router: Router, read: Callable[[str], Route | None], refused: Refused
    ) -> None:
        super().__init__("routes", read, refused)
        self._router = router

    def place(self, entity_id: str, entity: Route) -> None:
        self._router.add(entity)

    def place_after(self, other: Holding[Route], entity_id: str, entity: Route) -> None:
        assert isinstance(other, Routes)
        self._router.add_after(other._router, entity)

    def displace(self, entity_id: str, entity: Route) -> None:
        self._router.remove(entity_id)

    def is_placed(self, entity_id: str, entity: Route) -> bool:
        return self._router.holds(entity)

    def admits(self, entity: Route) -> bool:
        return self._router.admits(entity)

    def misplaced(self) -> str:
        if len(self._router) == len(self.held):
            return ""
        return f"{len(self._router)} routes in the router instead of {len(self.held)}"


def _read_http_route(text: str) -> Route | None:
    route = read_route(text)
    return None if route.protocols.isdisjoint(_HTTP_PROTOCOLS) else route


def _read_compatible_route(text: str) -> Route | None:
    """``path_handling`` means nothing to this flavor (kong/router/compat.lua)."""
    route = _read_http_route(text)
    if route is None or route.path_handling == "v0":
        return route
    return route._replace(path_handling="v0")


class Table:
    """Everything that decides where a request goes. It is replaced when a whole state is loaded:
    what has to outlive that belongs to the gateway."""

    def __init__(
        self,
        refused: Refused,
        maker: Maker = NO_PLUGINS,
        vault_env_prefix: str = "",
        flavor: str = "traditional_compatible",
    ) -> None:
        self.version: Version = (0, 0, 0)
        self.edition = object()
        """Another one after each change of what decisions rest on: what was decided under one holds
        as long as it is the same object. (A table that replaces another may have the version of its
        predecessor.)"""
        traditional = flavor == "traditional"
        self._router = TraditionalRouter() if traditional else Router()
        read = _read_http_route if traditional else _read_compatible_route
        self.services = Services(self._router, refused)
        self.routes = Routes(self._router, read, refused)
        self.vaults = Vaults(refused, vault_env_prefix)
        self.plugins = Plugins(maker, refused, self.vaults)
        self.certificates = Certificates(refused, self.vaults)
        self.snis = Snis(refused)
        self.authorities = Authorities(refused)
        self.rebalanced: dict[str, None] = {}
        """Upstreams that have changed, they or their targets, since the balancers looked (at this
        table, or at the one that it takes after)."""
        self.upstreams = Upstreams(refused, self.rebalanced)
        self.targets = Targets(refused, self.rebalanced)
        holdings: tuple[Holding[Any], ...] = (
            self.vaults,
            self.services,
            self.routes,
            self.plugins,
            self.certificates,
            self.snis,
            self.authorities,
            self.upstreams,
            self.targets,
        )
        self._holdings = {holding.kind: holding for holding in holdings}

    def apply(self, version: Version, changes: Sequence[Change]) -> None:
        """Apply one changeset, or one slice of a snapshot. Unknown kinds are ignored."""
        known = self.vaults.changes
        decided_by = False
        for kind, entity_id, text in changes:
            holding = self._holdings.get(kind)
            if holding is not None:
                holding.apply(entity_id, text)
                decided_by = decided_by or kind not in _ASKED_EACH_TIME
        if self.vaults.changes != known:
            self.certificates.resolve_again()
            self.plugins.resolve_again()
        self.version = version
        if decided_by:
            self.edition = object()

    def take_after(self, other: "Table") -> Iterator[None]:
        """Hold what another one does, which stays as it is meanwhile, and which the balancers have
        looked at; some entities at each step."""
        for kind, holding in self._holdings.items():
            yield from holding.take_after(other._holdings[kind])

    def difference(self, rows: Sequence[Change], counts: Mapping[str, int]) -> str:
        """How what is held differs from what should be; empty when it doesn't.

        ``rows`` are some of the entities, read once more; ``counts`` says how many there are of
        each kind. So what is missing shows when its turn comes, and what is too many at once.
        """
        for kind, holding in self._holdings.items():
            if len(holding) != counts.get(kind, 0):
                return f"{len(holding)} {kind} instead of {counts.get(kind, 0)}"
            if misplaced := holding.misplaced():
                return misplaced
        for kind, entity_id, text in rows:
            if text is None or kind not in self._holdings:
                continue
            if not self._holdings[kind].is_as(entity_id, text):
                return f"{kind} {entity_id}"
        return ""

    def match(self, request: Request) -> Match | None:
        """The route of a request."""
        return self._router.match(request)

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, some entities at each step: it isn't used any more."""
        for holding in self._holdings.values():
            yield from holding.dismantle()
