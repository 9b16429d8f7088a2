"""The audit of the state table: whether it is what history says, and what is done if it isn't.

Somebody may have changed a row by hand, or the disk may have. The state table wins (DESIGN 5): what
it holds is written as an ordinary changeset marked ``audit``, so that every node comes to hold it.
Three steps, all without I/O:

1. ``Walk`` goes through the table in one transaction that reads, a slice at a time. It gives the
   state hash at that head, to be compared with the one that the replicas have kept, and names the
   rows that are other than those of a replica.
2. ``reconcile`` reads these rows again, under their locks and then the head row's: nothing is
   committed from there on. What history says at that head is what the replica held and what the log
   has since. Where the table says otherwise, that is the difference.
3. A row that doesn't validate isn't spread, nor one that refers to what isn't there, nor the
   absence of one that others refer to: no node would have a whole state any more. It is named.

No row of the state table is changed. The indexes of what is spread are made to say what it says.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from blake3 import blake3

from store.authority import Entity
from store.canonical import decode_entity
from store.changeset import Body, Change, Changeset, decode_body, encode_body
from store.contents import PinnedState
from store.errors import EntityError
from store.flush import reindex
from store.limits import (
    AUDIT_BYTES_MAX,
    AUDIT_LOG_CHANGESETS,
    AUDIT_ROWS_MAX,
    ENTITY_BYTES_MAX,
    LOG_READ_CHANGESETS,
    PAUSE_MUTATIONS,
    PAUSE_ROWS,
)
from store.plan import PAUSE, Dialect, Plan, Statement
from store.plan import Rows as TableRows
from store.read import changeset_from_row, read_head, read_log
from store.replica import Replica
from store.rows import Key, in_parts
from store.schema import Schema, kinds
from store.schema import schema as schema_of
from store.schema.values import is_uuid
from store.state_hash import StateSum, element, identify
from store.version import EMPTY, Head


class Walk:
    """Goes through the state table once. ``held`` is what a replica holds: at about that head, for
    what has changed between the two is named as well, and turns out to be no difference."""

    def __init__(self, held: PinnedState) -> None:
        self.head = EMPTY
        self.differing: list[Key] = []
        """In order; at most AUDIT_ROWS_MAX."""
        self.missing: list[Key] = []
        """Those of them that the table hasn't."""
        self._held = held
        self._sum = StateSum()
        self._rest: Iterator[tuple[str, str, bytes]] = iter(())
        self._next: tuple[str, str, bytes] | None = None

    def begin(self, head: Head) -> None:
        """All rows of this head follow, in order."""
        self.head = head
        self.differing.clear()
        self.missing.clear()
        self._sum = StateSum()
        self._rest = self._held.rows()
        self._next = next(self._rest, None)

    def take(self, rows: TableRows) -> None:
        """The next rows: kind, id, text."""
        for kind, entity_id, text in rows:
            stored = text.encode()
            self._sum.add(element(identify(kind, entity_id, stored)))
            self._compare((kind, entity_id), stored)

    def end(self) -> None:
        """That were all."""
        while self._next is not None and self._has_room():
            self._is_missing(self._next[:2])

    def state_hash(self) -> bytes:
        """Of the whole table."""
        return self._sum.digest()

    def _compare(self, key: Key, stored: bytes) -> None:
        if not self._has_room():
            return
        while self._next is not None and self._next[:2] < key and self._has_room():
            self._is_missing(self._next[:2])
        if self._next is None or self._next[:2] != key:
            self._differs(key)
            return
        if self._next[2] != stored:
            self._differs(key)
        self._next = next(self._rest, None)

    def _is_missing(self, key: Key) -> None:
        self._next = next(self._rest, None)
        self._differs(key)
        self.missing.append(key)

    def _differs(self, key: Key) -> None:
        if self._has_room():
            self.differing.append(key)

    def _has_room(self) -> bool:
        return len(self.differing) < AUDIT_ROWS_MAX


class Difference(NamedTuple):
    """Rows of the table that may be other than history says."""

    held: PinnedState
    """What history says at its head."""
    keys: Sequence[Key]
    referrers: Mapping[Key, Sequence[Key]]
    """Who refers to those that a replica holds, as far as it knows."""


def referrers(replica: Replica, key: Key) -> list[Key]:
    """Who refers to an entity that a replica holds. Of more than AUDIT_ROWS_MAX not all, but more
    than one step of an audit can change."""
    kind, entity_id = key
    found: list[Key] = []
    for referring in kinds():
        for name, target in schema_of(referring).references.items():
            if target == kind and len(found) <= AUDIT_ROWS_MAX:
                rows = replica.rows_by(referring, name, entity_id, AUDIT_ROWS_MAX + 1)
                found.extend((referring, referrer) for referrer, _ in rows)
    return found


class Refused(NamedTuple):
    """A row of the table that isn't spread."""

    kind: str
    id: str
    reason: str


class Reconciled(NamedTuple):
    """What became of a difference."""

    head: Head
    """The authority's afterwards."""
    changeset: Changeset | None
    """What was written; None when there is nothing to spread."""
    refused: tuple[Refused, ...]
    is_whole: bool
    """Whether that was all: else the same again goes on with the rest, or with a younger replica
    when the log doesn't lead from this one's head to the authority's."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who writes it."""

    write_id: bytes
    origin: str
    now: float
    schemas: Callable[[str], Schema]


def reconcile(difference: Difference, auditor: Auditor, dialect: Dialect) -> Plan[Reconciled]:
    """Bring history to what the table says."""
    keys = sorted(difference.keys)
    yield from in_parts(
        "SELECT kind, id, body FROM entity WHERE kind = $1 AND id = $2" + dialect.for_update, keys
    )
    yield Statement("SELECT revision FROM head" + dialect.for_update)
    head = yield from read_head()
    since = yield from _log_since(difference.held.head)
    if since is None:
        return Reconciled(head, None, (), is_whole=False)
    found = yield from in_parts(
        "SELECT kind, id, body FROM entity WHERE kind = $1 AND id = $2", keys
    )
    stored = {(kind, entity_id): text for kind, entity_id, text in found}
    history = _History(difference, since)
    work = _Work(auditor, history)
    size = 0
    is_whole = True
    for number, key in enumerate(keys, 1):
        if number % PAUSE_MUTATIONS == 0:
            yield PAUSE
        text = stored.get(key)
        if text == history.text(key):
            continue
        size += len(text or "")
        if work.changes and size > AUDIT_BYTES_MAX:
            is_whole = False
            break
        work.take(key, text)
    yield from _judge(work)
    changeset = yield from _write(work, dialect)
    if changeset is not None:
        head = Head(changeset.version, changeset.digest)
    return Reconciled(head, changeset, tuple(work.refused), is_whole)


def _log_since(head: Head) -> Plan[Sequence[Changeset] | None]:
    """What has been committed since; None when the log doesn't tell, or it is too much."""
    changesets: list[Changeset] = []
    while len(changesets) <= AUDIT_LOG_CHANGESETS:
        part = yield from read_log(head, LOG_READ_CHANGESETS)
        if part is None:
            return None
        if not part:
            return changesets
        changesets.extend(part)
        head = Head(part[-1].version, part[-1].digest)
    return None


class _History:
    """What history says at the authority's head."""

    def __init__(self, difference: Difference, since: Iterable[Changeset]) -> None:
        self.referrers = difference.referrers
        self._held = difference.held
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
class _Work:
    """What is to be spread, and what isn't."""

    auditor: Auditor
    history: _History
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
            self.entities[key] = _read(self.auditor, key, text)
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


def _read(auditor: Auditor, key: Key, text: str) -> Entity:
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


def _judge(work: _Work) -> Plan[None]:
    """Refuse what would leave no whole state; that may take more with it."""
    yield from _judge_claims(work)
    there = yield from _targets(work)
    while True:
        before = len(work.refused)
        for number, key in enumerate(sorted(work.changes), 1):
            if number % PAUSE_ROWS == 0:
                yield PAUSE
            reason = _dangling(work, key, there)
            if reason:
                work.refuse(key, reason)
        if len(work.refused) == before:
            return


def _judge_claims(work: _Work) -> Plan[None]:
    """Refuse what has a unique value of another."""
    claims = {
        (kind, index, value): None
        for (kind, _), entity in sorted(work.entities.items())
        for index, value in work.auditor.schemas(kind).claims(entity).items()
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
        if (kind, entity_id) not in work.changes
    }
    for key, entity in sorted(work.entities.items()):
        kind, entity_id = key
        own = work.auditor.schemas(kind).claims(entity)
        taken = [index for index, value in own.items() if (kind, index, value) in holders]
        if taken:
            work.refuse(key, f"another one has the same {', '.join(taken)}")
        else:
            holders |= {(kind, index, value): entity_id for index, value in own.items()}


def _targets(work: _Work) -> Plan[set[Key]]:
    """Which of the rows referred to the table has."""
    wanted = {
        target
        for (kind, _), entity in work.entities.items()
        for target in _references(work.auditor.schemas(kind), entity)
    }
    rows = yield from in_parts(
        "SELECT kind, id FROM entity WHERE kind = $1 AND id = $2", sorted(wanted)
    )
    return {(kind, entity_id) for kind, entity_id in rows}


def _dangling(work: _Work, key: Key, there: set[Key]) -> str:
    """Why the nodes would hold a reference to nothing; empty when they wouldn't."""
    entity = work.entities.get(key)
    if entity is not None:
        for target in _references(work.auditor.schemas(key[0]), entity):
            if target not in there or work.text(target) is None:
                return f"it refers to {' '.join(target)}, which isn't there"
        return ""
    for referrer in work.history.referrers.get(key, ()):
        text = work.text(referrer)
        if text is None:
            continue
        if key in _references(work.auditor.schemas(referrer[0]), decode_entity(text)):
            return f"it is missing, and {' '.join(referrer)} refers to it"
    return ""


def _references(schema: Schema, entity: Entity) -> Iterator[Key]:
    for name, target in schema.references.items():
        if entity.get(name) is not None:
            yield target, entity[name]["id"]


def _write(work: _Work, dialect: Dialect) -> Plan[Changeset | None]:
    if not work.changes:
        return None
    auditor = work.auditor
    yield from reindex({key: work.entities.get(key) for key in work.changes}, auditor.schemas)
    changes = tuple(Change(*key, text) for key, text in sorted(work.changes.items()))
    body = encode_body(Body(auditor.write_id, auditor.now, auditor.origin, changes, "audit"))
    entry = (auditor.write_id, blake3(body).digest(), body, auditor.now)
    # No revision is asked about: the walk has found that this is the history that nodes follow.
    ((revision, epoch, tag, predecessor, digest, _),) = yield dialect.append([entry], 0)
    return changeset_from_row((epoch, tag, revision, predecessor, digest, body))
