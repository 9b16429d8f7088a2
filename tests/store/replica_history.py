"""Random but repeatable histories of a replica, for tests of what keeps it."""

import random
import uuid
from collections.abc import Iterator
from typing import NamedTuple

from store.authority import State
from store.canonical import encode_entity
from store.changelog import Changelog
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.replica import Replica
from store.replica_file.file import ReplicaFile
from store.schema import schema
from store.version import EMPTY, Head, Version

TAG = 2**64 - 7
"""Above what SQLite's integers hold."""


def head_of(item: Changeset) -> Head:
    """Where a replica is that has applied it."""
    return Head(item.version, item.digest)


def is_sound(replica: Replica) -> bool:
    """Whether what lies in memory is what was applied."""
    steps = replica.audit()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bool(end.value)


def changeset(after: Head, *changes: Change, epoch: int = 1, tag: int = TAG) -> Changeset:
    """The one that makes these changes after a head."""
    revision = after.version.revision + 1
    body = encode_body(Body(revision.to_bytes(16, "big"), 1.0, "n", changes))
    return Changeset(Version(epoch, tag, revision), after.digest, chain(after.digest, body), body)


def service(number: int, **fields: object) -> Change:
    """One of the services that are numbered."""
    entity_id = str(uuid.UUID(int=number, version=4))
    entity = schema("services").validate_new({"id": entity_id, "host": "h", **fields}, 1)
    return Change("services", entity_id, encode_entity(entity))


def random_history(rng: random.Random, after: Head = EMPTY, ids: int = 40) -> Iterator[Changeset]:
    """Endless: services that come, change and go, and kinds that nobody knows yet."""
    while True:
        changes: dict[str, Change] = {}
        for _ in range(rng.randint(1, 6)):
            number = rng.randrange(ids)
            put = service(number, retries=rng.randrange(100), name=f"n{number}")
            kind = rng.choice(("services", "services", "gadgets"))
            text = put.entity if rng.random() < 0.7 else None
            changes[f"{kind}{number}"] = Change(kind, put.id, text)
        item = changeset(after, *changes.values())
        after = head_of(item)
        yield item


class Found(NamedTuple):
    """All that stands in a replica file."""

    state: State
    log: Changelog
    authority_id: str
    is_fit: bool


def read_file(file: ReplicaFile) -> Found | None:
    """Everything; None when nothing was ever written."""
    entities: list[Change] = []
    loaded = file.load(entities.extend)
    if loaded is None:
        return None
    about = loaded.about
    return Found(State(about.head, tuple(entities)), loaded.log, about.authority_id, loaded.is_fit)
