"""The audit of the state table: whether it is what history says, and what is done if it isn't.

Somebody may have changed a row by hand, or the disk may have. The state table wins (DESIGN 5): what
it holds is written as an ordinary changeset marked ``audit``, so that every node comes to hold it.
Three steps, all without I/O:

1. ``Walk`` goes through the table in one transaction that reads, a slice at a time. It gives the
   state hash at that head, to be compared with the one that the replicas have kept, and names the
   rows that are other than those of a replica.
2. ``amend`` reads these rows again, under their locks and then the head row's: nothing is
   committed from there on. What history says at that head is what the replica held and what the log
   has since. Where the table says otherwise, that is the difference.
3. ``store.amendment``: a row that doesn't validate isn't spread, nor one that refers to what isn't
   there, nor the absence of one that others refer to: no node would have a whole state any more. It
   is named.

No row of the state table is changed. The indexes of what is spread are made to say what it says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from blake3 import blake3

from store.amendment import Amendment, Auditor, History, Refused, judge
from store.changeset import Body, Change, Changeset, encode_body
from store.contents import PinnedState
from store.epochs import Comparison, check_appended
from store.flush import reindex
from store.limits import (
    AUDIT_BYTES_MAX,
    AUDIT_LOG_CHANGESETS,
    AUDIT_ROWS_MAX,
    LOG_READ_CHANGESETS,
    PAUSE_MUTATIONS,
)
from store.plan import PAUSE, Dialect, Plan, Statement
from store.plan import Rows as TableRows
from store.read import changeset_from_row, read_head, read_log
from store.replica import Replica
from store.rows import Key, in_parts
from store.schema import kinds
from store.schema import schema as schema_of
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


class Amended(NamedTuple):
    """What became of a difference."""

    head: Head
    """The authority's afterwards."""
    changeset: Changeset | None
    """What was written; None when there is nothing to spread."""
    refused: tuple[Refused, ...]
    is_whole: bool
    """Whether that was all: else the same again goes on with the rest, or with a younger replica
    when the log doesn't lead from this one's head to the authority's."""


def amend(
    difference: Difference, auditor: Auditor, comparison: Comparison, dialect: Dialect
) -> Plan[Amended]:
    """Bring history to what the table says. Raises HistoryForked."""
    keys = sorted(difference.keys)
    yield from in_parts(
        "SELECT kind, id, body FROM entity WHERE kind = $1 AND id = $2" + dialect.for_update, keys
    )
    yield Statement("SELECT revision FROM head" + dialect.for_update)
    head = yield from read_head()
    since = yield from _log_since(difference.held.head)
    if since is None:
        return Amended(head, None, (), is_whole=False)
    found = yield from in_parts(
        "SELECT kind, id, body FROM entity WHERE kind = $1 AND id = $2", keys
    )
    stored = {(kind, entity_id): text for kind, entity_id, text in found}
    history = History(difference.held, difference.referrers, since)
    amendment = Amendment(auditor, history)
    size = 0
    is_whole = True
    for number, key in enumerate(keys, 1):
        if number % PAUSE_MUTATIONS == 0:
            yield PAUSE
        text = stored.get(key)
        if text == history.text(key):
            continue
        size += len(text or "")
        if amendment.changes and size > AUDIT_BYTES_MAX:
            is_whole = False
            break
        amendment.take(key, text)
    yield from judge(amendment)
    changeset = yield from _write(amendment, comparison, dialect)
    if changeset is not None:
        head = Head(changeset.version, changeset.digest)
    return Amended(head, changeset, tuple(amendment.refused), is_whole)


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


def _write(
    amendment: Amendment, comparison: Comparison, dialect: Dialect
) -> Plan[Changeset | None]:
    if not amendment.changes:
        return None
    auditor = amendment.auditor
    yield from reindex(
        {key: amendment.entities.get(key) for key in amendment.changes}, auditor.schemas
    )
    changes = tuple(Change(*key, text) for key, text in sorted(amendment.changes.items()))
    body = encode_body(Body(auditor.write_id, auditor.now, auditor.origin, changes, "audit"))
    entry = (auditor.write_id, blake3(body).digest(), body, auditor.now)
    confirmed = comparison.confirmed()
    (row,) = yield dialect.append([entry], confirmed.version.revision)
    yield from check_appended(row, confirmed, comparison, dialect)
    revision, epoch, tag, predecessor, digest, _ = row
    return changeset_from_row((epoch, tag, revision, predecessor, digest, body))
