"""Epochs: comparing the authority's history with what was confirmed, and raising (DESIGN 3).

Plans without I/O. An epoch is raised by a changeset like any other, that follows the authority's
head: what is there stays, and its version is above all that the abandoned history ever had. Its one
change is a record of where the two histories part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blake3 import blake3

from store.authority import Committed
from store.changeset import Body, Change, encode_body
from store.errors import HistoryForked
from store.history import EPOCHS, Epoch, Server, Standing, proof_of
from store.lineage import decode_records, encode_record
from store.plan import Dialect, Plan, Row, Statement
from store.read import changeset_from_row, read_head_beside, read_link
from store.version import EMPTY, Head

_INSERT = "INSERT INTO entity (kind, id, body) VALUES ($1, $2, $3)"
MOVE = "UPDATE head SET epoch = $1, tag = $2"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an engine knows when it compares."""

    confirmed: Callable[[], Head] = lambda: EMPTY
    """The newest head that is known to be the authority's; EMPTY proves nothing."""
    server: Callable[[Row | None], Server] = lambda _: Server("", 0)
    """Which server answered ``Dialect.server`` (None: it has no such statement)."""


@dataclass(frozen=True, slots=True)
class Raise:
    """An epoch to be."""

    confirmed: Head
    known: Sequence[Head]
    """Heads of the confirmed history, newest first."""
    epochs: Sequence[Epoch]
    """Its records."""
    forced: bool
    origin: str
    now: float
    """Unix seconds."""
    tag: int
    write_id: bytes
    id: str
    """Of the record, a UUID."""


def check_appended(
    row: Row, confirmed: Head, comparison: Comparison, dialect: Dialect
) -> Plan[None]:
    """Raise HistoryForked when the first row that a write has appended proves that its history
    isn't the confirmed one; ``confirmed`` is what the append was asked about."""
    revision, epoch, tag, predecessor, _, held = row
    before = changeset_from_row((epoch, tag, revision - 1, b"", predecessor, b""))
    head = Head(before.version, before.digest)
    yield from _check(head, held, confirmed, comparison, dialect)


def check_head(comparison: Comparison, dialect: Dialect) -> Plan[Head]:
    """The authority's head, for who has nothing to append. Raises HistoryForked."""
    confirmed = comparison.confirmed()
    head, held = yield from read_head_beside(confirmed.version.revision)
    yield from _check(head, held, confirmed, comparison, dialect)
    return head


def _check(
    head: Head, held: bytes | None, confirmed: Head, comparison: Comparison, dialect: Dialect
) -> Plan[None]:
    proof = proof_of(head, held, confirmed)
    if proof:
        server = yield from _read_server(comparison, dialect)
        raise HistoryForked(Standing(head, server, proof))


def _read_server(comparison: Comparison, dialect: Dialect) -> Plan[Server]:
    rows = (yield Statement(dialect.server)) if dialect.server else [None]
    return comparison.server(rows[0])


def read_standing(confirmed: Head, comparison: Comparison, dialect: Dialect) -> Plan[Standing]:
    """How the authority stands to a head, with its head row locked."""
    # A statement of its own: what it waits for is in the snapshot of the next one only.
    yield Statement(f"SELECT revision FROM head{dialect.for_update}")
    head, held = yield from read_head_beside(confirmed.version.revision)
    server = yield from _read_server(comparison, dialect)
    return Standing(head, server, proof_of(head, held, confirmed))


def raise_epoch(wanted: Raise, comparison: Comparison, dialect: Dialect) -> Plan[Committed]:
    """See ``Authority.raise_epoch``."""
    confirmed = wanted.confirmed
    standing = yield from read_standing(confirmed, comparison, dialect)
    kept = standing.head
    is_above = kept.version.epoch > confirmed.version.epoch
    if not (standing.proof or (wanted.forced and not is_above)):
        return Committed(kept, None, ())
    epoch = 1 + max(kept.version.epoch, confirmed.version.epoch)
    fork = yield from _fork_revision(wanted, standing)
    # A raise that was lost with the rest knew of revisions that stand for two contents.
    recorded = yield from read_epochs()
    lost = [each.fork_revision for each in wanted.epochs if each not in recorded]
    fork = min((fork, *lost))
    record = Epoch(epoch, wanted.tag, fork, kept, confirmed, wanted.now, wanted.origin)
    change = Change(EPOCHS, wanted.id, encode_record(wanted.id, record))
    body = encode_body(Body(wanted.write_id, wanted.now, wanted.origin, (change,), "epoch"))
    yield Statement(_INSERT, change)
    yield Statement(MOVE, (epoch, wanted.tag.to_bytes(8, "big")))
    entry = (wanted.write_id, blake3(body).digest(), body, wanted.now)
    ((revision, _, tag, predecessor, chain, _),) = yield dialect.append([entry], 0)
    changeset = changeset_from_row((epoch, tag, revision, predecessor, chain, body))
    return Committed(Head(changeset.version, changeset.digest), changeset, ())


def read_epochs() -> Plan[list[Epoch]]:
    """The records that the authority has."""
    rows = yield Statement("SELECT body FROM entity WHERE kind = $1", (EPOCHS,))
    return decode_records(text for (text,) in rows)


def _fork_revision(wanted: Raise, standing: Standing) -> Plan[int]:
    """The last revision of the authority's history that is known to be in the confirmed one, too.

    A chain that is equal at one revision is equal below it, so halving finds the last such one
    among the heads that are known. Where none of them tells, commits that were lost from the end
    are taken for just that, and else (or forced: of two at once) nothing is known.
    """
    kept, confirmed = standing.head, wanted.confirmed
    if not standing.proof and (yield from _holds(kept, confirmed)):
        return kept.version.revision  # forced: the whole history goes on
    below = sorted({head for head in wanted.known if head.version < confirmed.version})
    low, high = 0, len(below)  # those before low aren't ruled out, those from high on are
    shared, differs = 0, wanted.forced or standing.proof != "below"
    while low < high:
        middle = (low + high) // 2
        head = below[middle]
        held = yield from _holds(kept, head)
        if held is False:
            high = middle
            differs = differs or head.version.revision <= kept.version.revision
        else:
            low = middle + 1
            shared = head.version.revision if held else shared
    if shared or differs or kept.version[:2] != confirmed.version[:2]:
        return shared
    return kept.version.revision


def _holds(kept: Head, head: Head) -> Plan[bool | None]:
    """Whether a head is part of the authority's history; None when the log was trimmed there."""
    if head.version.revision >= kept.version.revision:
        return head == kept
    link = yield from read_link(head.version.revision)
    return None if link is None else link == head
