"""What is read of the authority, as plans without I/O.

Reads that must agree with each other (state and head, log and head) are one plan, which the engine
runs in one read transaction.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from store.authority import AuthorityInfo, Entity, Page, Query, State
from store.canonical import decode_entity
from store.changeset import Change, Changeset
from store.errors import AuthorityUnavailable, SchemaMismatch
from store.keyring import KEYRING_SCHEMA, read_row
from store.limits import LOG_BYTES_MAX, PAGE_SIZE_MAX, STATE_ROWS_MAX
from store.pages import read_found
from store.plan import Plan, Row, Rows, Statement
from store.schema.values import is_uuid
from store.schema.violations import invalid_size
from store.version import EMPTY, GENESIS_DIGEST, Head, Version

SCHEMA_VERSION = 3
"""The schema of the tables that this software reads and writes."""

SCHEMA_VERSION_MIN = 1
"""The oldest schema with which it runs all the same. 1: the cluster's keys can't be changed.
2: that a node was forced out isn't kept."""

READ_HEAD_BESIDE = (
    "SELECT epoch, tag, revision, chain,"
    " (SELECT held.chain FROM log held WHERE held.revision = $1) FROM head"
)

BOOTSTRAP_NEEDED = "database needs bootstrapping; run 'grapevine migrations bootstrap'"


HEAD_MISSING = (
    "the database's head row can't be seen: a backup is being restored there; if that is long over,"
    " the backup lacks it"
)


def the_head(rows: Rows) -> Row:
    """The one row of a statement about the head row. Raises AuthorityUnavailable.

    A snapshot that was taken before pg_restore committed, and then waited for its locks, finds the
    tables that have come and no row in them.
    """
    if not rows:
        raise AuthorityUnavailable(HEAD_MISSING)
    return rows[0]


def read_head() -> Plan[Head]:
    """The authority's head. Raises AuthorityUnavailable."""
    rows = yield Statement("SELECT epoch, tag, revision, chain FROM head")
    epoch, tag, revision, chain = the_head(rows)
    return Head(_version(epoch, tag, revision), chain)


def read_head_beside(revision: int) -> Plan[tuple[Head, bytes | None]]:
    """The authority's head, and the chain that its log holds at a revision."""
    rows = yield Statement(READ_HEAD_BESIDE, (revision,))
    epoch, tag, number, chain, held = the_head(rows)
    return Head(_version(epoch, tag, number), chain), held


def read_link(revision: int) -> Plan[Head | None]:
    """What the log holds at a revision; None when that was trimmed, or isn't there yet."""
    rows = yield Statement("SELECT epoch, tag, chain FROM log WHERE revision = $1", (revision,))
    if not rows:
        return None
    epoch, tag, chain = rows[0]
    return Head(_version(epoch, tag, revision), chain)


def _version(epoch: int, tag: bytes, revision: int) -> Version:
    """Tags are 64 bits without a sign, which no SQL integer holds: they are stored as 8 bytes."""
    return Version(epoch, int.from_bytes(tag, "big"), revision)


def read_info() -> Plan[AuthorityInfo]:
    """What bootstrap put there, and the keyring. Raises SchemaMismatch for a schema that this
    software can't work with.

    That includes a newer one once its ``post`` files have run; its ``pre`` files alone leave older
    software working, so that a roll-out may take its time.
    """
    rows = yield Statement("SELECT id, cluster_key, schema_version FROM authority")
    if not rows:
        raise SchemaMismatch(BOOTSTRAP_NEEDED)
    info = AuthorityInfo(*rows[0])
    if info.schema_version < SCHEMA_VERSION_MIN:
        raise SchemaMismatch(
            f"database schema {info.schema_version} is older than this software's"
            f" ({SCHEMA_VERSION_MIN}); run 'grapevine migrations up'"
        )
    if info.schema_version > SCHEMA_VERSION:
        rows = yield Statement("SELECT max(number) FROM migration WHERE phase = 'post'")
        finished = rows[0][0] or 0
        if finished > SCHEMA_VERSION:
            raise SchemaMismatch(
                f"database schema {finished} is newer than this software's"
                f" ({SCHEMA_VERSION}) and its roll-out was finished; upgrade grapevine on this node"
            )
    if info.schema_version < KEYRING_SCHEMA:
        return info
    return replace(info, keyring=(yield from read_row()))


def is_storable(text: str) -> bool:
    """Whether a text can be in the database at all: UTF-8, and without NUL (Postgres).

    What can't be there is not found, rather than an error of the engine's.
    """
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def id_of_key(
    kind: str, key: str, endpoint_key: str | None, *, names_only: bool = False
) -> Plan[str | None]:
    """The id that ``key`` stands for: itself when it is a UUID, else by the endpoint key's index.

    A UUID is answered as it is, whether or not such an entity exists.
    """
    if is_uuid(key) and not names_only:
        return key.lower()
    if endpoint_key is None or not is_storable(key):
        return None
    rows = yield Statement(
        "SELECT id FROM entity_unique WHERE kind = $1 AND field = $2 AND value = $3",
        (kind, endpoint_key, key),
    )
    return rows[0][0] if rows else None


def entity_text(kind: str, entity_id: str, lock: str = "") -> Plan[str | None]:
    """An entity's stored text; ``lock`` is a dialect's locking clause."""
    rows = yield Statement(
        f"SELECT body FROM entity WHERE kind = $1 AND id = $2{lock}", (kind, entity_id)
    )
    return rows[0][0] if rows else None


def read_entity(kind: str, key: str, endpoint_key: str | None) -> Plan[Entity | None]:
    """An entity by id or endpoint key."""
    entity_id = yield from id_of_key(kind, key, endpoint_key)
    text = (yield from entity_text(kind, entity_id)) if entity_id else None
    return decode_entity(text) if text is not None else None


def read_page(query: Query) -> Plan[Page]:
    """One page, ordered by id. Raises EntityError code 9 for a size out of range."""
    if not 1 <= query.size <= PAGE_SIZE_MAX:
        raise invalid_size(PAGE_SIZE_MAX)
    texts = (query.after_id or "", *query.references.values(), *query.tags_all, *query.tags_any)
    if not all(is_storable(text) for text in texts):
        return Page((), None)
    if query.claim is not None:
        return (yield from _claimed_page(query, *query.claim))
    return (yield from read_found(query))


def _claimed_page(query: Query, index: str, value: str) -> Plan[Page]:
    """The one entity that has a unique value, or none."""
    entity_id = yield from id_of_key(query.kind, value, index, names_only=True)
    text = (yield from entity_text(query.kind, entity_id)) if entity_id is not None else None
    return Page((decode_entity(text),) if text is not None else (), None)


class Visitor(Protocol):
    """Sees the whole state go by."""

    def begin(self, head: Head) -> None:
        """All of this head follows, also if something else was seen before."""

    def take(self, rows: Rows) -> None:
        """The next rows: kind, id, text; by kind and id."""


def walk_state(visitor: Visitor, slice_rows: int) -> Plan[None]:
    """Show everything, at one head.

    In pieces, so that each statement ends within its time and frees the loop between them.
    """
    head = yield from read_head()
    visitor.begin(head)
    last = ("", "")
    while True:
        rows = yield Statement(
            "SELECT kind, id, body FROM entity WHERE (kind, id) > ($1, $2)"
            " ORDER BY kind, id LIMIT $3",
            (*last, slice_rows),
        )
        visitor.take(rows)
        if len(rows) < slice_rows:
            return
        kind, entity_id, _ = rows[-1]
        last = kind, entity_id


class _Everything:
    """Keeps all that it sees."""

    def __init__(self) -> None:
        self.head = EMPTY
        self.entities: list[Change] = []

    def begin(self, head: Head) -> None:
        self.head = head
        self.entities.clear()

    def take(self, rows: Rows) -> None:
        self.entities.extend(Change(*row) for row in rows)


def read_state() -> Plan[State]:
    """Everything, at one head."""
    everything = _Everything()
    yield from walk_state(everything, STATE_ROWS_MAX)
    return State(everything.head, tuple(everything.entities))


def changeset_from_row(row: Row) -> Changeset:
    """A changeset from (epoch, tag, revision, predecessor, chain, body)."""
    epoch, tag, revision, predecessor, chain, body = row
    return Changeset(_version(epoch, tag, revision), predecessor, chain, body)


def read_log(after: Head, limit: int) -> Plan[Sequence[Changeset] | None]:
    """What follows ``after``; None when the log can't tell (trimmed, or another history).

    At most ``limit`` changesets and ``LOG_BYTES_MAX`` bytes at a time, but always one.
    """
    head = yield from read_head()
    if after == head:
        return ()
    if not (yield from _in_history(after)):
        return None
    sizes = yield Statement(
        "SELECT revision, length(body) FROM log WHERE revision > $1 ORDER BY revision LIMIT $2",
        (after.version.revision, limit),
    )
    rows = yield Statement(
        "SELECT epoch, tag, revision, predecessor, chain, body FROM log"
        " WHERE revision > $1 AND revision <= $2 ORDER BY revision",
        (after.version.revision, _last_within(sizes, LOG_BYTES_MAX)),
    )
    changesets = tuple(changeset_from_row(row) for row in rows)
    begins = changesets[0].predecessor if changesets else head.digest
    return changesets if begins == after.digest else None


def _last_within(sizes: Rows, bytes_max: int) -> int:
    """The last of some (revision, bytes) up to which they fit; at least the first, 0 for none."""
    last = total = 0
    for revision, size in sizes:
        total += size
        if last and total > bytes_max:
            break
        last = revision
    return last


def _in_history(point: Head) -> Plan[bool]:
    """Whether the log holds this very point, or it is the beginning of everything."""
    if point == EMPTY:
        return True
    revision = point.version.revision
    if revision == 0:
        rows = yield Statement("SELECT epoch, tag FROM log WHERE revision = 1")
        return [Head(_version(row[0], row[1], 0), GENESIS_DIGEST) for row in rows] == [point]
    return (yield from read_link(revision)) == point
