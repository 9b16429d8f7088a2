"""The write rule: how mutations become rows, one changeset and the next revision (DESIGN 3).

A plan without I/O, shared by all engines. Its order is the rule:

1. A write id that was committed before is answered from the log.
2. Rows to change are read and locked, in (kind, id) order, so that writers can't deadlock on them.
3. Each mutation is merged and validated against what it really found, then written. Unique values
   and rows are claimed by ``INSERT … ON CONFLICT DO NOTHING RETURNING``: a violation is a missing
   row, not an aborted transaction. Referred rows are locked against deletion, deletions lock the
   parent before they look for children, and no cascade is left to the database: the changeset must
   name every row that went.
4. The head row comes last, in one statement: it is the one row that every writer needs.
"""

from blake3 import blake3

from store.authority import Committed, Create, Delete, Entity, Mutation, Patch, Put
from store.canonical import decode_entity
from store.changeset import BODY_BYTES_MAX, Body, Change, Changeset, decode_body, encode_body
from store.limits import MUTATIONS_MAX
from store.plan import Dialect, Plan, Statement
from store.read import changeset_from_row, read_entity, read_head
from store.schema.values import is_uuid
from store.transaction import Transaction, WriteRequest, too_big
from store.version import Head

__all__ = ["WriteRequest", "find_write", "write"]


def write(request: WriteRequest, dialect: Dialect) -> Plan[Committed]:
    """Apply all mutations, or raise EntityError (and then the transaction must be rolled back)."""
    if len(request.write_id) != 16:
        raise ValueError(f"a write id has 16 bytes, not {len(request.write_id)}")
    if len(request.mutations) > MUTATIONS_MAX:
        raise too_big(f"{len(request.mutations)} mutations in one write", str(MUTATIONS_MAX))
    before = yield from find_write(request)
    if before is not None:
        return before
    transaction = Transaction(request, dialect)
    yield from transaction.lock()
    entities = []
    for mutation in request.mutations:
        entities.append((yield from transaction.apply(mutation)))
    changes = transaction.changes()
    if not changes:
        head = yield from read_head()
        return Committed(head, None, tuple(entities))
    changeset = yield from _append(request, changes, dialect)
    return Committed(Head(changeset.version, changeset.digest), changeset, tuple(entities))


def find_write(request: WriteRequest) -> Plan[Committed | None]:
    """The outcome of this write if it was committed before, else None.

    A retry repeats the mutations of the first try; their entities are found in its changeset.
    """
    rows = yield Statement(
        "SELECT epoch, tag, revision, predecessor, chain, body FROM log WHERE write_id = $1",
        (request.write_id,),
    )
    if not rows:
        return None
    changeset = changeset_from_row(rows[0])
    changes = list(decode_body(changeset.body).changes)
    entities = []
    for mutation in request.mutations:
        entity = _entity_of(mutation, changes, request)
        if entity is None and isinstance(mutation, Patch | Put):  # it changed nothing then
            endpoint_key = request.schemas(mutation.kind).endpoint_key
            entity = yield from read_entity(mutation.kind, mutation.key, endpoint_key)
        entities.append(entity)
    return Committed(Head(changeset.version, changeset.digest), changeset, tuple(entities))


def _entity_of(mutation: Mutation, changes: list[Change], request: WriteRequest) -> Entity | None:
    """What a mutation of a committed write left behind, as its changeset tells."""
    if isinstance(mutation, Delete):
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


def _append(
    request: WriteRequest, changes: tuple[Change, ...], dialect: Dialect
) -> Plan[Changeset]:
    """Take the head row and log the changeset."""
    body = encode_body(Body(request.write_id, request.now, request.origin, changes))
    if len(body) > BODY_BYTES_MAX:
        raise too_big(f"a changeset of {len(body)} bytes", f"{BODY_BYTES_MAX} bytes")
    rows = yield Statement(
        dialect.append_log, (request.write_id, blake3(body).digest(), body, request.now)
    )
    revision, epoch, tag, predecessor, chain = rows[0]
    return changeset_from_row((epoch, tag, revision, predecessor, chain, body))
