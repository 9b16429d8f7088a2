"""Upstreams by their names and targets by their upstreams, in a worker's table."""

from node.proxy.balancing.entities import Target, Upstream, read_target, read_upstream
from node.proxy.holding import Holding, Refused


class Upstreams(Holding[Upstream]):
    """Found by the name that services give as their host."""

    def __init__(self, refused: Refused, changed: dict[str, None]) -> None:
        super().__init__("upstreams", read_upstream, refused)
        self._ids: dict[str, str] = {}
        """By name."""
        self._changed = changed

    def named(self, name: str) -> Upstream | None:
        """The upstream of that name."""
        upstream_id = self._ids.get(name)
        return None if upstream_id is None else self.held.get(upstream_id)

    def place(self, entity_id: str, entity: Upstream) -> None:
        self._ids[entity.name] = entity_id
        self._changed[entity_id] = None

    def place_after(self, other: Holding[Upstream], entity_id: str, entity: Upstream) -> None:
        # What the other holds the balancers know.
        self._ids[entity.name] = entity_id

    def displace(self, entity_id: str, entity: Upstream) -> None:
        if self._ids.get(entity.name) == entity_id:  # else another took the name before
            del self._ids[entity.name]
        self._changed[entity_id] = None

    def is_placed(self, entity_id: str, entity: Upstream) -> bool:
        return self._ids.get(entity.name) == entity_id

    def misplaced(self) -> str:
        if len(self._ids) == len(self.held):
            return ""
        return f"{len(self._ids)} names of upstreams instead of {len(self.held)}"


class Targets(Holding[Target]):
    """Found by their upstream."""

    def __init__(self, refused: Refused, changed: dict[str, None]) -> None:
        super().__init__("targets", read_target, refused)
        self._of: dict[str, dict[str, Target]] = {}
        """By the upstream's id, and by their own."""
        self._changed = changed

    def of(self, upstream_id: str) -> list[Target]:
        """An upstream's targets, in an order that depends on them alone (Kong's, too)."""
        targets = self._of.get(upstream_id, {}).values()
        return sorted(targets, key=lambda target: (target.host, target.port, target.id))

    def place(self, entity_id: str, entity: Target) -> None:
        self._of.setdefault(entity.upstream_id, {})[entity_id] = entity
        self._changed[entity.upstream_id] = None

    def place_after(self, other: Holding[Target], entity_id: str, entity: Target) -> None:
        self._of.setdefault(entity.upstream_id, {})[entity_id] = entity

    def displace(self, entity_id: str, entity: Target) -> None:
        siblings = self._of[entity.upstream_id]
        del siblings[entity_id]
        if not siblings:
            del self._of[entity.upstream_id]
        self._changed[entity.upstream_id] = None

    def is_placed(self, entity_id: str, entity: Target) -> bool:
        return self._of.get(entity.upstream_id, {}).get(entity_id) == entity

    def misplaced(self) -> str:
        placed = sum(map(len, self._of.values()))
        return "" if placed == len(self.held) else f"{placed} targets instead of {len(self.held)}"
