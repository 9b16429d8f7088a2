"""The routing state of a worker at one version: services, routes and the router over them.

A changeset is applied whole, between two requests; the work is in proportion to what it changes.
A change of a service touches none of the routes that lead to it, which may be all there are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from node.channel import Change, Version
from node.proxy import limits
from node.proxy.entities import EntityRefused, Route, Service, read_route, read_service
from node.proxy.router import Match, Request, Router

_HTTP_PROTOCOLS = ("http", "https", "grpc", "grpcs")
"""Routes of the stream subsystem are no concern of an HTTP listener."""

UNREADABLE = (EntityRefused, TypeError, ValueError, AttributeError)

Refused = Callable[[str], None]
"""Told of each entity that can't be used, with the reason."""


class Table:
    """Everything that decides where a request goes."""

    def __init__(self, refused: Refused) -> None:
        self.version: Version = (0, 0, 0)
        self.services: dict[str, Service] = {}
        self._routes: dict[str, Route] = {}
        self._left_out: dict[str, set[str]] = {"services": set(), "routes": set()}
        """What was given, and can't be used here, or is of no use: by kind."""
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

    def difference(self, rows: Sequence[Change], counts: Mapping[str, int]) -> str:
        """How what is held differs from what should be; empty when it doesn't.

        ``rows`` are some of the entities, read once more; ``counts`` says how many there are of
        each kind. So what is missing shows when its turn comes, and what is too many at once.
        """
        held = {"services": len(self.services), "routes": len(self._routes)}
        for kind, left_out in self._left_out.items():
            count = held[kind] + len(left_out)
            if count != counts.get(kind, 0):
                return f"{count} {kind} instead of {counts.get(kind, 0)}"
        if len(self._router) != len(self._routes):
            return f"{len(self._router)} routes in the router instead of {len(self._routes)}"
        for kind, entity_id, text in rows:
            sound = text is None or (
                self._is_service(entity_id, text)
                if kind == "services"
                else kind != "routes" or self._is_route(entity_id, text)
            )
            if not sound:
                return f"{kind} {entity_id}"
        return ""

    def _is_service(self, service_id: str, text: str) -> bool:
        try:
            service = read_service(text)
        except UNREADABLE:
            return self._is_left_out("services", service_id, self.services)
        return self.services.get(service_id) == service and (
            self._router.passes_over(service_id) == (not service.enabled)
        )

    def _is_route(self, route_id: str, text: str) -> bool:
        try:
            route = read_route(text)
        except UNREADABLE:
            return self._is_left_out("routes", route_id, self._routes)
        held = self._routes.get(route_id)
        if held is not None:
            return held == route and self._router.holds(held)
        usable = not route.protocols.isdisjoint(_HTTP_PROTOCOLS) and self._router.admits(route)
        return not usable and self._is_left_out("routes", route_id, self._routes)

    def _is_left_out(self, kind: str, entity_id: str, held: Mapping[str, object]) -> bool:
        return entity_id in self._left_out[kind] and entity_id not in held

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
            except UNREADABLE as error:
                self._refused(f"service {entity_id} is left out: {error}")
        if service is None:
            self.services.pop(entity_id, None)
        else:
            self.services[entity_id] = service
        self._leave_out("services", entity_id, text is not None and service is None)
        # Kong leaves out routes of disabled services (kong/runloop/handler.lua), not serviceless
        # ones.
        self._router.pass_over(entity_id, service is not None and not service.enabled)

    def _apply_route(self, entity_id: str, text: str | None) -> None:
        route = None
        if text is not None:
            try:
                route = read_route(text)
            except UNREADABLE as error:
                self._refused(f"route {entity_id} is left out: {error}")
        self._leave_out("routes", entity_id, text is not None)
        if route is not None and route == self._routes.get(entity_id):
            self._leave_out("routes", entity_id, False)
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
            self._leave_out("routes", entity_id, False)

    def _leave_out(self, kind: str, entity_id: str, left_out: bool) -> None:
        if left_out:
            self._left_out[kind].add(entity_id)
        else:
            self._left_out[kind].discard(entity_id)
