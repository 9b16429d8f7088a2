"""The entities of one kind, as a worker holds them: read once, indexed, and comparable with what
they should be."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from node.proxy import limits
from node.proxy.entities import EntityRefused

Entity = TypeVar("Entity")

UNREADABLE = (EntityRefused, TypeError, ValueError, AttributeError, LookupError)

Refused = Callable[[str], None]
"""Told of each entity that can't be used, with the reason."""


class Holding(Generic[Entity]):
    """``read(text)`` gives an entity that compares equal to another one of the same text, or None
    for one that is of no use here; it raises one of UNREADABLE for what can't be used.

    A kind that is found by more than its id overrides the last methods, which keep its index.
    """

    def __init__(self, kind: str, read: Callable[[str], Entity | None], refused: Refused) -> None:
        self.kind = kind
        self.held: dict[str, Entity] = {}
        """By id."""
        self._left_out: set[str] = set()
        """What was given, and can't be used here, or is of no use."""
        self._read = read
        self._refused = refused

    def __len__(self) -> int:
        """How many were given, those that are left out included."""
        return len(self.held) + len(self._left_out)

    def apply(self, entity_id: str, text: str | None) -> None:
        """Take a new or changed entity, or with None let go of one."""
        after = None if text is None else self._use(entity_id, text)
        before = self.held.get(entity_id)
        if after is None or after != before:
            if before is not None:
                del self.held[entity_id]
                self.displace(entity_id, before)
            if after is not None and not self._put(entity_id, after):
                after = None
        if text is not None and after is None:
            self._left_out.add(entity_id)
        else:
            self._left_out.discard(entity_id)

    def take_after(self, other: "Holding[Entity]") -> Iterator[None]:
        """Hold what another one does, which stays as it is meanwhile; some entities at each
        step."""
        for number, (entity_id, entity) in enumerate(other.held.items(), start=1):
            self.place_after(other, entity_id, entity)
            self.held[entity_id] = entity
            if number % limits.COPIED_AT_ONCE == 0:
                yield
        self._left_out = other._left_out.copy()

    def is_as(self, entity_id: str, text: str) -> bool:
        """Whether what is held, or left out, is what this text makes of it."""
        try:
            entity = self._read(text)
        except UNREADABLE:
            entity = None
        held = self.held.get(entity_id)
        if held is not None:
            return held == entity and self.is_placed(entity_id, held)
        usable = entity is not None and self.admits(entity)
        return not usable and entity_id in self._left_out

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, some entities at each step: it isn't used any more."""
        while self.held:
            for _ in range(min(limits.DISMANTLED_AT_ONCE, len(self.held))):
                self.displace(*self.held.popitem())
            yield

    def _use(self, entity_id: str, text: str) -> Entity | None:
        try:
            return self._read(text)
        except UNREADABLE as error:
            self._refused(f"{self.kind} {entity_id} is left out: {error}")
            return None

    def _put(self, entity_id: str, entity: Entity) -> bool:
        try:
            self.place(entity_id, entity)
        except EntityRefused as error:
            self._refused(f"{self.kind} {entity_id} is left out: {error}")
            return False
        self.held[entity_id] = entity
        return True

    def place(self, entity_id: str, entity: Entity) -> None:
        """Put it where it is looked for. Raises EntityRefused, and then has done nothing."""

    def place_after(self, other: "Holding[Entity]", entity_id: str, entity: Entity) -> None:
        """Put it where it is looked for, as another one has done."""
        self.place(entity_id, entity)

    def displace(self, entity_id: str, entity: Entity) -> None:
        """Take it from there."""

    def is_placed(self, entity_id: str, entity: Entity) -> bool:
        """Whether it is there."""
        return True

    def admits(self, entity: Entity) -> bool:
        """Whether it could be placed."""
        return True

    def misplaced(self) -> str:
        """What the index has beside what is held; empty when it has nothing else."""
        return ""
