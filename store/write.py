"""The write rule: how mutations become rows, changesets and the next revisions (DESIGN 3).

A plan without I/O, shared by all engines. Writers that wait at the same time share a transaction,
whose statements are then as many as those of one. Its order is the rule:

1. A write id that was committed before is answered from the log.
2. Names are looked up, rows to change are read and locked, in (kind, id) order, and rows to refer
   to are locked against deletion.
3. Each writer's mutations are merged and validated against what is there and what the writers
   before it made. One that is refused leaves nothing behind, and the others don't notice.
4. The difference is written (``store.flush``). Deletions have locked the parent before they looked
   for children, and no cascade is left to the database: a changeset must name every row that went.
5. The head row comes last, in one statement for all: it is the one row that every writer needs. It
   also tells whether this history is the one that was confirmed; if not, nothing is written.
"""

from collections.abc import Iterable, Iterator, Sequence

from blake3 import blake3

from store.authority import (
    Committed,
    Create,
    Delete,
    Entity,
    Mutation,
    Patch,
    Put,
    Replace,
    weight,
)
from store.canonical import decode_entity
from store.changeset import BODY_BYTES_MAX, Body, Change, Changeset, decode_body, encode_body
from store.epochs import Comparison, check_appended, check_head
from store.errors import EntityError
from store.flush import flush
from store.limits import MUTATIONS_MAX, PAUSE_MUTATIONS
from store.plan import PAUSE, Dialect, LogEntry, Plan, Row
from store.read import changeset_from_row, read_entity, the_head
from store.rows import Raced, Rows, in_parts
from store.schema.values import is_uuid
from store.transaction import Transaction, WriteRequest, too_big
from store.version import Head

__all__ = ["Outcome", "Raced", "WriteRequest", "find_writes", "logged", "write", "write_all"]

NO_COMPARISON = Comparison()

Outcome = Committed | EntityError
"""Of one writer among several."""

Done = tuple[tuple[Entity | None, ...], tuple[Change, ...], bytes | None]
"""What a writer's mutations made, what that changed, and the body of its changeset; None when
nothing changed."""


def write(
    request: WriteRequest, dialect: Dialect, comparison: Comparison = NO_COMPARISON
) -> Plan[Committed]:
    """Apply one write, or raise EntityError (and then the transaction must be rolled back)."""
    try:
        (outcome,) = yield from write_all([request], dialect, comparison)
    except Raced as raced:
        raise raced.error from None
    if isinstance(outcome, EntityError):
        raise outcome
    return outcome


def write_all(
    requests: Sequence[WriteRequest], dialect: Dialect, comparison: Comparison = NO_COMPARISON
) -> Plan[list[Outcome]]:
    """Apply several writes as if one after the other; the outcome of each.

    All write ids must differ. Raises Raced and HistoryForked, and then nothing of it may be
    committed.
    """
    outcomes: dict[int, Outcome] = {}
    for number, request in enumerate(requests):
        if len(request.write_id) != 16:
            raise ValueError(f"a write id has 16 bytes, not {len(request.write_id)}")
        if weight(request.mutations) > MUTATIONS_MAX:
            what = f"{weight(request.mutations)} mutations in one write"
            outcomes[number] = too_big(what, str(MUTATIONS_MAX))
    old = [number for number, request in enumerate(requests) if not request.is_new]
    found = yield from find_writes([requests[number] for number in old if number not in outcomes])
    for number, request in enumerate(requests):
        if request.write_id in found:
            outcomes[number] = found[request.write_id]
    if found:
        yield from check_head(comparison, dialect)  # else who is answered took it for confirmed
    todo = {number: item for number, item in enumerate(requests) if number not in outcomes}
    if todo:
        outcomes |= yield from _do(todo, dialect, comparison)
    return [outcomes[number] for number in range(len(requests))]


def _do(
    requests: dict[int, WriteRequest], dialect: Dialect, comparison: Comparison
) -> Plan[dict[int, Outcome]]:
    outcomes: dict[int, Outcome] = {}
    done: dict[int, Done] = {}
    rows = Rows(dialect, next(iter(requests.values())).schemas)
    writers = {number: Transaction(request, rows) for number, request in requests.items()}
    yield from _prepare(rows, list(writers.values()))
    for position, (number, writer) in enumerate(writers.items(), 1):
        if position % PAUSE_MUTATIONS == 0:
            yield PAUSE
        rows.maker = number
        savepoint = rows.savepoint()
        try:
            entities = yield from writer.apply()
            changes = writer.changes()
            done[number] = (entities, changes, _body(requests[number], changes))
            rows.show()
        except EntityError as error:
            rows.roll_back(savepoint)
            outcomes[number] = error
    yield from flush(rows)
    outcomes |= yield from _append(requests, done, dialect, comparison)
    return outcomes


def _prepare(rows: Rows, writers: Sequence[Transaction]) -> Plan[None]:
    """Read and lock at once what all writers will want, as far as can be told beforehand.

    The unique values and ids that one mutation alone wants to make are left to their inserts, which
    saves a lone create two round trips. Of several, the insert would tell of one at a time.
    """
    several = sum(len(writer) for writer in writers) > 1
    yield from rows.find(name for writer in writers for name in writer.names(claimed=several))
    keys, targets = set(), set()
    for writer in writers:
        keys |= yield from writer.keys(made=several)
        targets |= yield from writer.targets()
    yield from rows.lock(keys)
    yield from rows.hold(targets)


def find_writes(requests: Sequence[WriteRequest]) -> Plan[dict[bytes, Committed]]:
    """The outcomes of those of these writes that were committed before, by write id.

    A retry repeats the mutations of the first try; their entities are found in its changeset.
    """
    changesets = yield from logged([request.write_id for request in requests])
    found = {}
    for request in requests:
        if request.write_id in changesets:
            outcome = yield from _outcome(request, changesets[request.write_id])
            found[request.write_id] = outcome
    return found


def logged(write_ids: Sequence[bytes]) -> Plan[dict[bytes, Changeset]]:
    """Those of these writes that were committed."""
    rows = yield from in_parts(
        "SELECT epoch, tag, revision, predecessor, chain, body, write_id FROM log"
        " WHERE write_id = $1",
        [(write_id,) for write_id in write_ids],
    )
    return {bytes(row[6]): changeset_from_row(row[:6]) for row in rows}


def _outcome(request: WriteRequest, changeset: Changeset) -> Plan[Committed]:
    changes = decode_body(changeset.body).changes
    left = list(changes)
    entities = []
    for mutation in request.mutations:
        entity = _entity_of(mutation, left, request)
        if entity is None and isinstance(mutation, Patch | Put):  # it changed nothing then
            endpoint_key = request.schemas(mutation.kind).endpoint_key
            entity = yield from read_entity(mutation.kind, mutation.key, endpoint_key)
        entities.append(entity)
    return _committed(changeset, tuple(entities), changes)


def _committed(
    changeset: Changeset, entities: tuple[Entity | None, ...], changes: tuple[Change, ...]
) -> Committed:
    return Committed(Head(changeset.version, changeset.digest), changeset, entities, changes)


def _entity_of(mutation: Mutation, changes: list[Change], request: WriteRequest) -> Entity | None:
    """What a mutation of a committed write left behind, as its changeset tells."""
    if isinstance(mutation, Delete | Replace):
        return None
    endpoint_key = request.schemas(mutation.kind).endpoint_key
    fields = mutation.fields
    renamed = fields.get(endpoint_key) if endpoint_key else None
    if isinstance(mutation, Create):
        wanted_id = fields.get("id")
        names = [] if renamed is None else [renamed]
    else:
        wanted_id = mutation.key if is_uuid(mutation.key) else None
        names = [] if wanted_id else [mutation.key, renamed]
    for change in changes:
        if change.kind != mutation.kind or change.entity is None:
            continue
        entity = decode_entity(change.entity)
        by_id = wanted_id is None or change.id == str(wanted_id).lower()
        if by_id and (not names or entity.get(endpoint_key or "") in names):
            if isinstance(mutation, Create):
                changes.remove(change)  # the next nameless Create is another entity
            return entity
    return None


def _body(request: WriteRequest, changes: tuple[Change, ...]) -> bytes | None:
    """The changeset's bytes. Raises EntityError when they are too many."""
    if not changes:
        return None
    body = encode_body(Body(request.write_id, request.now, request.origin, changes))
    if len(body) > BODY_BYTES_MAX:
        raise too_big(
            f"a changeset of {len(body)} bytes",
            f"{BODY_BYTES_MAX} bytes; write it in several parts",
        )
    return body


def _append(
    requests: dict[int, WriteRequest],
    done: dict[int, Done],
    dialect: Dialect,
    comparison: Comparison,
) -> Plan[dict[int, Outcome]]:
    """Take the head row and log the changesets. A write that changed nothing answers the head that
    the others leave."""
    bodies = {number: body for number, (_, _, body) in done.items() if body is not None}
    if bodies:
        entries = [
            (requests[number].write_id, blake3(body).digest(), body, requests[number].now)
            for number, body in bodies.items()
        ]
        rows: list[Row] = []
        confirmed = comparison.confirmed()
        for part in _by_size(entries):
            rows.extend((yield dialect.append(part, confirmed.version.revision)))
        yield from check_appended(the_head(rows), confirmed, comparison, dialect)
        changesets = dict(zip(bodies, _changesets(rows, bodies.values()), strict=True))
        last = list(changesets.values())[-1]
        head = Head(last.version, last.digest)
    elif done:
        changesets = {}
        head = yield from check_head(comparison, dialect)
    return {
        number: _committed(changesets[number], entities, changes)
        if body is not None
        else Committed(head, None, entities)
        for number, (entities, changes, body) in done.items()
    }


def _by_size(entries: Sequence[LogEntry]) -> Iterator[Sequence[LogEntry]]:
    """In parts that a statement can carry: one, but for huge changesets."""
    begin = size = 0
    for end, entry in enumerate(entries):
        size += len(entry[2])
        if size > BODY_BYTES_MAX:
            if end > begin:
                yield entries[begin:end]
            begin, size = end, len(entry[2])
    yield entries[begin:]


def _changesets(rows: Iterable[Sequence[object]], bodies: Iterable[bytes]) -> Iterable[Changeset]:
    for (revision, epoch, tag, predecessor, chain, _), body in zip(rows, bodies, strict=True):
        yield changeset_from_row((epoch, tag, revision, predecessor, chain, body))
