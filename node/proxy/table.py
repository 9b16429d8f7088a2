"""The routing state of a worker at one version: services, routes and the router over them.

A changeset is applied whole, between two requests; the work is in proportion to what it changes.
A change of a service touches none of the routes that lead to it, which may be all there are.
"""

from collections.abc import Callable, Iterator, Sequence

from node.channel import Change, Version
from node.proxy import limits
from node.proxy.entities import EntityRefused, Route, Service, read_route, read_service
from node.proxy.router import Match, Request, Router

_HTTP_PROTOCOLS = ("http", "https", "grpc", "grpcs")
"""Routes of the stream subsystem are no concern of an HTTP listener."""

Refused = Callable[[str], None]
"""Told of each entity that can't be used, with the reason."""


class Table:
    """Everything that decides where a request goes."""

    def __init__(self, refused: Refused) -> None:
        self.version: Version = (0, 0, 0)
        self.services: dict[str, Service] = {}
        self._routes: dict[str, Route] = {}
        self._router = Router()
        self._refused = refused

    def apply(self, version: Version, changes: Sequence[Change]) -> None:
        """Apply one changeset, or one slice of a snapshot. Unknown kinds are ignored."""
        for kind, entity_id, text in changes:
            if kind == "services":
                self._apply_service(entity_id, text)
            elif kind == "routes":
                self._apply_route(entity_id, text)
        self.version = version

    def match(self, request: Request) -> Match | None:
        """The route of a request."""
        return self._router.match(request)

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, some entities at each step: it isn't used any more."""
        while self._routes:
            for _ in range(min(limits.DISMANTLED_AT_ONCE, len(self._routes))):
                self._router.remove(self._routes.popitem()[0])
            yield
        while self.services:
            for _ in range(min(limits.DISMANTLED_AT_ONCE, len(self.services))):
                self.services.popitem()
            yield

    def _apply_service(self, entity_id: str, text: str | None) -> None:
        service = None
        if text is not None:
            try:
                service = read_service(text)
            except (EntityRefused, TypeError, ValueError, AttributeError) as error:
                self._refused(f"service {entity_id} is left out: {error}")
        if service is None:
            self.services.pop(entity_id, None)
        else:
            self.services[entity_id] = service
        # Kong leaves out routes of disabled services (kong/runloop/handler.lua), not serviceless
        # ones.
        self._router.pass_over(entity_id, service is not None and not service.enabled)

    def _apply_route(self, entity_id: str, text: str | None) -> None:
        route = None
        if text is not None:
            try:
                route = read_route(text)
            except (EntityRefused, TypeError, ValueError, AttributeError) as error:
                self._refused(f"route {entity_id} is left out: {error}")
        if route == self._routes.get(entity_id):
            return
        self._router.remove(entity_id)
        self._routes.pop(entity_id, None)
        if route is None or route.protocols.isdisjoint(_HTTP_PROTOCOLS):
            return
        try:
            self._router.add(route)
        except EntityRefused as error:
            self._refused(f"route {entity_id} is left out: {error}")
        else:
            self._routes[entity_id] = route
