"""What stands in the replica file, and the checksums by which damage is told.

There are two sides, each a full set of tables; ``about`` says which of them holds. Everything is
written anew into the other side, and taken into use by the transaction that changes ``about``: so a
file is always exactly one version, however slowly it is written.

``about`` is sealed by a checksum, and has for each kind how many entities there are and the sum of
their checksums: a row that is altered, missing or of another time shows. Entities of cold kinds are
found by terms: a unique field's value, a reference's id. A term stands as a hash, of which there is
a sum, too; whether it leads to the right entity, whoever reads sees by the entity itself. The chain
of the log's digests says nothing of epochs and tags, so that each of its rows has a checksum.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack
from blake3 import blake3

from store.schema import cold_kinds, is_cold, schema
from store.version import Head, Version

FORMAT = 1
"""Raised whenever an earlier version of this software would misread the file."""
APPLICATION_ID = 0x47_76_52_70
SIDES = (0, 1)

ABOUT_TABLE = """
CREATE TABLE IF NOT EXISTS about (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    side INTEGER NOT NULL,
    fill BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    tag BLOB NOT NULL,
    revision INTEGER NOT NULL,
    rest BLOB NOT NULL,
    checksum BLOB NOT NULL
)
"""

SIDE_TABLES = (
    """CREATE TABLE entities_{side} (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        text TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID""",
    """CREATE TABLE terms_{side} (
        term INTEGER NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (term, id)
    ) WITHOUT ROWID""",
    """CREATE TABLE log_{side} (
        revision INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        tag BLOB NOT NULL,
        predecessor BLOB NOT NULL,
        digest BLOB NOT NULL,
        body BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )""",
)
SIDE_NAMES = ("entities", "terms", "log")

FILL_BYTES = 16
TERM_MASK = 0xFFFF_FFFF


class FileDamaged(Exception):
    """The file isn't what was written, or is of another kind; the message says how that shows."""


class OutOfStep(Exception):
    """The file doesn't hold what a batch follows; it must be written anew."""


class Sum(NamedTuple):
    """How many rows, and the sum of their checksums modulo 2^64."""

    rows: int = 0
    total: int = 0

    def plus(self, checksum: int, rows: int = 1) -> "Sum":
        """With so many more, whose checksums come to that."""
        return Sum(self.rows + rows, (self.total + checksum) % 2**64)

    def minus(self, checksum: int) -> "Sum":
        return Sum(self.rows - 1, (self.total - checksum) % 2**64)


class About(NamedTuple):
    """What a file says of itself."""

    side: int
    fill: bytes
    """Random, drawn whenever everything is written anew: what is read under one fill is of one
    history."""
    head: Head
    authority_id: str
    """Of the authority that this is a copy of; empty while none is known."""
    shape: str
    """The terms by which cold kinds are found, as the writer knew them."""
    sums: dict[str, Sum]
    """By kind."""
    terms: Sum
    """Of the terms' hashes (``term_part``)."""
    log_base: Head
    """What the first changeset of the log follows."""
    log_count: int
    log_bytes: int
    """Of bodies."""


def seal(about: About) -> tuple[Any, ...]:
    """The row: (side, fill, epoch, tag, revision, rest, checksum)."""
    rest = msgpack.packb(
        {
            "format": FORMAT,
            "digest": about.head.digest,
            "authority": about.authority_id,
            "shape": about.shape,
            "sums": {kind: list(item) for kind, item in sorted(about.sums.items())},
            "terms": list(about.terms),
            "log": [*about.log_base.version, about.log_base.digest],
            "log_count": about.log_count,
            "log_bytes": about.log_bytes,
        }
    )
    epoch, tag, revision = about.head.version
    row = (about.side, about.fill, epoch, tag.to_bytes(8, "big"), revision, rest)
    return (*row, blake3(msgpack.packb(row)).digest())


def unseal(row: tuple[Any, ...]) -> About:
    """Read the row. Raises FileDamaged."""
    side, fill, epoch, tag, revision, rest, checksum = row
    try:
        if blake3(msgpack.packb(row[:-1])).digest() != checksum:
            raise FileDamaged("what it says of itself doesn't fit its checksum")
        fields = msgpack.unpackb(rest)
        log_epoch, log_tag, log_revision, log_digest = fields["log"]
        return About(
            side=side,
            fill=fill,
            head=Head(Version(epoch, int.from_bytes(tag, "big"), revision), fields["digest"]),
            authority_id=fields["authority"],
            shape=fields["shape"],
            sums={kind: Sum(*item) for kind, item in fields["sums"].items()},
            terms=Sum(*fields["terms"]),
            log_base=Head(Version(log_epoch, log_tag, log_revision), log_digest),
            log_count=fields["log_count"],
            log_bytes=fields["log_bytes"],
        )
    except FileDamaged:
        raise
    except Exception as error:  # msgpack raises a dozen kinds on garbage
        raise FileDamaged(f"what it says of itself can't be read: {error!r}") from error


def checksum_of(kind: str, entity_id: str, text: str) -> int:
    """64 bits, signed as SQLite keeps them."""
    data = msgpack.packb((kind, entity_id, text))
    return int.from_bytes(blake3(data).digest(8), "big", signed=True)


def term_hash(kind: str, field: str, value: str) -> int:
    """What stands for a term in the file: 64 bits, signed as SQLite keeps them."""
    data = msgpack.packb((kind, field, value))
    return int.from_bytes(blake3(data).digest(8), "big", signed=True)


def term_part(term: int) -> int:
    """What of a term's hash is summed: all bits count, and SQLite adds up a hundred million of them
    without overflow."""
    return (term & TERM_MASK) + 3 * (term >> 32 & TERM_MASK)


TERM_PARTS = f"coalesce(sum((term & {TERM_MASK}) + 3 * (term >> 32 & {TERM_MASK})), 0)"
"""The same in SQL, over all of them."""


def log_checksum(version: tuple[Any, ...], digest: bytes) -> int:
    """Of a changeset's place in the log: 64 bits, signed as SQLite keeps them. ``version`` is as
    the row has it: (epoch, tag, revision), the tag in bytes."""
    data = msgpack.packb((*version, digest))
    return int.from_bytes(blake3(data).digest(8), "big", signed=True)


def term_fields(kind: str) -> tuple[str, ...]:
    """By which fields entities of a cold kind are found; none for a kind that isn't cold."""
    if not is_cold(kind):
        return ()
    known = schema(kind)
    named = (known.endpoint_key,) if known.endpoint_key else ()
    return tuple(dict.fromkeys((*named, *known.unique, *known.references)))


def term_value(value: Any) -> str | None:
    """The text of a field's value in a term: a reference's id, or the value itself."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else None


def terms_of(fields: tuple[str, ...], entity: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, value) of each; written to stand whatever a newer version puts into these fields."""
    for field in fields:
        value = term_value(entity.get(field))
        if value is not None:
            yield field, value


def shape() -> str:
    """The terms by which this version of the software finds cold kinds."""
    return ";".join(f"{kind}:{','.join(term_fields(kind))}" for kind in sorted(cold_kinds()))
