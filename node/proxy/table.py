"""The routing state of a worker at one version: services, routes and the router over them.

A changeset is applied whole, between two requests; the work is in proportion to what it changes.
A change of a service reaches the routes that lead to it.
"""

from collections.abc import Callable, Iterable, Sequence

from node.channel import Change, Version
from node.proxy.entities import EntityRefused, Route, Service, read_route, read_service
from node.proxy.router import Match, Request, Router

Refused = Callable[[str], None]
"""Told of each entity that can't be used, with the reason."""


class Table:
    """Everything that decides where a request goes."""

    def __init__(self, refused: Refused) -> None:
        self.version: Version = (0, 0, 0)
        self.services: dict[str, Service] = {}
        self._routes: dict[str, Route] = {}
        self._routes_of: dict[str, set[str]] = {}
        """Route ids by service id; the service need not exist."""
        self._router = Router()
        self._refused = refused

    def __len__(self) -> int:
        """How many routes take part in routing."""
        return len(self._router)

    def apply(self, version: Version, changes: Sequence[Change]) -> None:
        """Apply one changeset, or one slice of a snapshot. Unknown kinds are ignored."""
        dirty: set[str] = set()
        for kind, entity_id, text in changes:
            if kind == "services":
                self._apply_service(entity_id, text)
                dirty |= self._routes_of.get(entity_id, set())
            elif kind == "routes":
                self._apply_route(entity_id, text)
                dirty.add(entity_id)
        self._index(dirty)
        self.version = version

    def match(self, request: Request) -> Match | None:
        """The route of a request."""
        return self._router.match(request)

    def _apply_service(self, entity_id: str, text: str | None) -> None:
        self.services.pop(entity_id, None)
        if text is not None:
            try:
                self.services[entity_id] = read_service(text)
            except (EntityRefused, TypeError, ValueError, AttributeError) as error:
                self._refused(f"service {entity_id} is left out: {error}")

    def _apply_route(self, entity_id: str, text: str | None) -> None:
        before = self._routes.pop(entity_id, None)
        if before is not None:
            siblings = self._routes_of[before.service_id]
            siblings.discard(entity_id)
            if not siblings:
                del self._routes_of[before.service_id]
        if text is None:
            return
        try:
            route = read_route(text)
        except (EntityRefused, TypeError, ValueError, AttributeError) as error:
            self._refused(f"route {entity_id} is left out: {error}")
            return
        self._routes[entity_id] = route
        self._routes_of.setdefault(route.service_id, set()).add(entity_id)

    def _index(self, route_ids: Iterable[str]) -> None:
        for route_id in route_ids:
            self._router.remove(route_id)
            route = self._routes.get(route_id)
            if route is None or not self._takes_part(route):
                continue
            try:
                self._router.add(route)
            except EntityRefused as error:
                self._refused(f"route {route_id} is left out: {error}")

    def _takes_part(self, route: Route) -> bool:
        """Kong leaves out routes of disabled services (kong/runloop/handler.lua), not serviceless
        ones; routes of the stream subsystem are no concern of an HTTP listener."""
        service = self.services.get(route.service_id)
        if service is not None and not service.enabled:
            return False
        return not route.protocols.isdisjoint(("http", "https", "grpc", "grpcs"))
