"""What of a difference may be spread to the nodes (``store.audit``): a row must validate, take no
other's unique value, refer to nothing that is missing, and if it is gone, nothing may refer to it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from store.authority import Entity
from store.canonical import decode_entity
from store.changeset import Changeset, decode_body
from store.contents import PinnedState
from store.errors import EntityError
from store.limits import ENTITY_BYTES_MAX, PAUSE_ROWS
from store.plan import PAUSE, Plan
from store.rows import Key, in_parts
from store.schema import Schema
from store.schema.values import is_uuid


class Refused(NamedTuple):
    """A row of the table that isn't spread."""

    kind: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who writes it."""

    write_id: bytes
    origin: str
    now: float
    schemas: Callable[[str], Schema]


class History:
    """What history says at the authority's head."""

    def __init__(
        self,
        held: PinnedState,
        referrers: Mapping[Key, Sequence[Key]],
        since: Iterable[Changeset],
    ) -> None:
        """``since`` has led from what is ``held``; ``referrers`` is who refers to what."""
        self.referrers = referrers
        self._held = held
        self._since: dict[Key, str | None] = {
            (kind, entity_id): text
            for changeset in since
            for kind, entity_id, text in decode_body(changeset.body).changes
        }

    def text(self, key: Key) -> str | None:
        if key in self._since:
            return self._since[key]
        text = self._held.get(*key)
        return None if text is None else text.decode()


@dataclass(slots=True)
class Amendment:
    """What is to be spread, and what isn't."""

    auditor: Auditor
    history: History
    changes: dict[Key, str | None] = field(default_factory=dict)
    entities: dict[Key, Entity] = field(default_factory=dict)
    """Of the changes that are no deletions."""
    refused: list[Refused] = field(default_factory=list)

    def take(self, key: Key, text: str | None) -> None:
        """The table says this."""
        if text is None:
            self.changes[key] = None
            return
        try:
            self.entities[key] = read_row(self.auditor, key, text)
        except _Invalid as error:
            self.refused.append(Refused(*key, str(error)))
        else:
            self.changes[key] = text

    def refuse(self, key: Key, reason: str) -> None:
        """It isn't spread after all."""
        del self.changes[key]
        self.entities.pop(key, None)
        self.refused.append(Refused(*key, reason))

    def text(self, key: Key) -> str | None:
        """What the nodes will hold."""
        return self.changes[key] if key in self.changes else self.history.text(key)


class _Invalid(Exception):
    """A row that isn't what the write rule would have made."""


def read_row(auditor: Auditor, key: Key, text: str) -> Entity:
    """The entity of a row. Raises _Invalid."""
    kind, entity_id = key
    if len(text.encode()) > ENTITY_BYTES_MAX:
        raise _Invalid(f"more than {ENTITY_BYTES_MAX} bytes")
    try:
        schema = auditor.schemas(kind)
    except KeyError:
        raise _Invalid("of a kind that this version doesn't know") from None
    try:
        entity = decode_entity(text)
        canonical = is_uuid(entity_id) and entity_id == entity_id.lower()
        if not canonical or entity.get("id") != entity_id:
            raise _Invalid("its id isn't a UUID in lower case, or another one than the row's")
        schema.validate_patch(decode_entity(text), {}, auditor.now)
    except (EntityError, TypeError, ValueError, AttributeError, LookupError) as error:
        raise _Invalid(str(error)) from error
    return entity


def judge(amendment: Amendment) -> Plan[None]:
    """Refuse what would leave the nodes no whole state; that may take more with it."""
    yield from _judge_claims(amendment)
    there = yield from _targets(amendment)
    while True:
        before = len(amendment.refused)
        for number, key in enumerate(sorted(amendment.changes), 1):
            if number % PAUSE_ROWS == 0:
                yield PAUSE
            reason = _dangling(amendment, key, there)
            if reason:
                amendment.refuse(key, reason)
        if len(amendment.refused) == before:
            return


def _judge_claims(amendment: Amendment) -> Plan[None]:
    """Refuse what has a unique value of another."""
    claims = {
        (kind, index, value): None
        for (kind, _), entity in sorted(amendment.entities.items())
        for index, value in amendment.auditor.schemas(kind).claims(entity).items()
    }
    rows = yield from in_parts(
        "SELECT kind, field, value, id FROM entity_unique"
        " WHERE kind = $1 AND field = $2 AND value = $3",
        sorted(claims),
    )
    # Those of a changed row are what its text says, not what its index still says.
    holders = {
        (kind, index, value): entity_id
        for kind, index, value, entity_id in rows
        if (kind, entity_id) not in amendment.changes
    }
    for key, entity in sorted(amendment.entities.items()):
        kind, entity_id = key
        own = amendment.auditor.schemas(kind).claims(entity)
        taken = [index for index, value in own.items() if (kind, index, value) in holders]
        if taken:
            amendment.refuse(key, f"another one has the same {', '.join(taken)}")
        else:
            holders |= {(kind, index, value): entity_id for index, value in own.items()}


def _targets(amendment: Amendment) -> Plan[set[Key]]:
    """Which of the rows referred to the table has."""
    wanted = {
        target
        for (kind, _), entity in amendment.entities.items()
        for target in amendment.auditor.schemas(kind).targets(entity)
    }
    rows = yield from in_parts(
        "SELECT kind, id FROM entity WHERE kind = $1 AND id = $2", sorted(wanted)
    )
    return {(kind, entity_id) for kind, entity_id in rows}


def _dangling(amendment: Amendment, key: Key, there: set[Key]) -> str:
    """Why the nodes would hold a reference to nothing; empty when they wouldn't."""
    entity = amendment.entities.get(key)
    if entity is not None:
        for target in amendment.auditor.schemas(key[0]).targets(entity):
            if target not in there or amendment.text(target) is None:
                return f"it refers to {' '.join(target)}, which isn't there"
        return ""
    for referrer in amendment.history.referrers.get(key, ()):
        text = amendment.text(referrer)
        if text is None:
            continue
        if key in amendment.auditor.schemas(referrer[0]).targets(decode_entity(text)):
            return f"it is missing, and {' '.join(referrer)} refers to it"
    return ""
