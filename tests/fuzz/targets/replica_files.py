"""A replica file with whatever damage is one of the states that were written to it, whole, or is
told to be damaged: never anything else, and no look-up of a credential in it finds or misses what
it shouldn't."""

import contextlib
import random
import sqlite3
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from store.canonical import decode_entity, encode_entity
from store.changeset import Change, Changeset
from store.cold.reader import ColdReader, Found, Unsettled
from store.cold.sqlite_file import SqliteColdFile
from store.replica import Replica
from store.replica_file.aside import companion
from store.replica_file.file import ReplicaFile, problem_of
from store.replica_file.layout import FileDamaged, term_value
from store.schema import schema
from store.version import EMPTY, Head
from tests.fuzz.target import Target, in_memory
from tests.gossip.hostile import Program
from tests.store.replica_history import changeset, head_of, read_file, service

AUTHORITY = "0c3f4b52-4d0a-4b2e-9a55-6a3c0a4f6f11"
_WHOLE_AT, _END = 4, 10
_FOLDER = in_memory()
_PATH = Path(_FOLDER.name) / "replica.db"


class Written(NamedTuple):
    """A file and its write-ahead log, as a killed process leaves them."""

    file: bytes
    log: bytes


def _credential(number: int) -> list[Change]:
    """A consumer with a key."""
    consumer_id, key_id = (str(uuid.UUID(int=1000 * n + number, version=4)) for n in (1, 2))
    return [
        _put("consumers", {"id": consumer_id, "username": f"user{number}"}),
        _put(
            "keyauth_credentials",
            {"id": key_id, "key": f"key{number}", "consumer": {"id": consumer_id}},
        ),
    ]


def _put(kind: str, fields: dict[str, Any]) -> Change:
    entity = schema(kind).validate_new(fields, 1)
    return Change(kind, entity["id"], encode_entity(entity))


def _history() -> Iterator[Changeset]:
    rng, after = random.Random(1), EMPTY
    for number in range(_END):
        changes = [service(number % 4, retries=number), *_credential(number)]
        if number > 2 and rng.random() < 0.5:
            changes.append(Change("keyauth_credentials", _credential(number - 2)[1].id, None))
        item = changeset(after, *changes)
        after = head_of(item)
        yield item


HISTORY = list(islice(_history(), _END))


def _states() -> dict[Head, tuple[Change, ...]]:
    replica, states = Replica(AUTHORITY), {}
    for item in HISTORY:
        assert replica.offer(*item) == "applied"
        states[head_of(item)] = tuple(sorted(replica.changes()))
    return states


STATES = _states()
TERMS = [("keyauth_credentials", "key", f"key{number}") for number in (0, 3, 7, _END)]
TERMS += [
    ("consumers", "username", "user5"),
    ("consumers", "id", _credential(1)[0].id),
    ("keyauth_credentials", "consumer", _credential(6)[0].id),
]


def _answers(state: tuple[Change, ...]) -> list[Found]:
    """What look-ups must find at a state."""
    known = [(change, decode_entity(change.entity or "")) for change in state]
    return [
        Found(
            tuple(
                change.entity or ""
                for change, entity in known
                if change.kind == kind and term_value(entity.get(field)) == value
            )
        )
        for kind, field, value in TERMS
    ]


ANSWERS = {head: _answers(state) for head, state in STATES.items()}


def _write() -> list[Written]:
    """Closed in order; killed with everything in the log; killed with a part of it worked off."""
    written = []
    for killed in (False, True):
        _remove()
        file = ReplicaFile(_PATH, draw_fill=lambda: b"f" * 16)
        whole = file.begin_whole()
        whole.write(STATES[head_of(HISTORY[_WHOLE_AT - 1])])
        whole.finish(head_of(HISTORY[_WHOLE_AT - 1]), AUTHORITY)
        if killed:
            file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            file.connection.execute("PRAGMA wal_autocheckpoint = 0")
        for start in range(_WHOLE_AT, _END, 2):
            file.write_batch(head_of(HISTORY[start - 1]), HISTORY[start : start + 2], AUTHORITY)
        if killed:
            log = companion(_PATH, "-wal").read_bytes()
            written.append(Written(_PATH.read_bytes(), log))
        file.close()
        if not killed:
            written.append(Written(_PATH.read_bytes(), b""))
    return written


def _remove() -> None:
    for path in (_PATH, companion(_PATH, "-wal"), companion(_PATH, "-shm")):
        path.unlink(missing_ok=True)


WRITTEN = _write()
KEYS = {
    "about": ("one",),
    "entities_0": ("kind", "id"),
    "terms_0": ("term", "id"),
    "log_0": ("revision",),
}
"""By which columns a row of each table is found."""
_DELETED = 7


class Edit(NamedTuple):
    """What is done to a row."""

    table: str
    row: int
    column: int
    """_DELETED: to all of it."""
    value: object


def attack(data: bytes) -> None:
    """Which file, and a program of what is done to it."""
    program = Program(data)
    written = WRITTEN[program.number(2)]
    _remove()
    file, log = bytearray(written.file), bytearray(written.log)
    edits: list[Edit] = []
    while program:
        step = program.number(8)
        victim = log if log and program.number(2) else file
        if step == 7:
            edits.append(_edit(program))
        elif victim:
            _damage(victim, step, program)
    _PATH.write_bytes(file)
    if written.log:
        companion(_PATH, "-wal").write_bytes(log)
    if edits:
        _edit_rows(edits)
    _check()


def _damage(victim: bytearray, step: int, program: Program) -> None:
    at = program.number(65_536) % len(victim)
    if step == 0:
        del victim[at:]
    elif step == 1:
        page = at // 4096 * 4096
        other = program.number(256) * 4096 % max(4096, len(victim))
        victim[page : page + 4096] = victim[other : other + 4096]
    elif step == 2:
        victim[at : at + 4096] = bytes(len(victim[at : at + 4096]))
    elif step == 3:
        victim += program.take(program.number(64))
    elif step == 4:
        victim[at] ^= 1 << program.number(8)
    else:
        new = program.take(1 + program.number(16))
        victim[at : at + len(new)] = new


def _edit(program: Program) -> Edit:
    table, row, column = [*KEYS][program.number(4)], program.number(64), program.number(8)
    raw = program.take(program.number(40))
    values = (raw, raw.decode("latin-1"), int.from_bytes(raw[:7], "big"), None, -1)
    return Edit(table, row, column, values[program.number(5)])


def _edit_rows(edits: list[Edit]) -> None:
    """Damage that leaves SQLite's own structures sound."""
    with contextlib.suppress(sqlite3.Error, UnicodeError):
        connection = sqlite3.connect(_PATH, isolation_level=None)
        try:
            for edit in edits:
                _edit_row(connection, edit)
        finally:
            connection.close()


def _edit_row(connection: sqlite3.Connection, edit: Edit) -> None:
    keys = KEYS[edit.table]
    names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({edit.table})")]
    found = connection.execute(
        f"SELECT {', '.join(keys)} FROM {edit.table} LIMIT 1 OFFSET {edit.row}"
    ).fetchone()
    if found is None:
        return
    where = " AND ".join(f"{name} = ?" for name in keys)
    if edit.column == _DELETED:
        connection.execute(f"DELETE FROM {edit.table} WHERE {where}", found)
    else:
        name = names[edit.column % len(names)]
        connection.execute(
            f"UPDATE {edit.table} SET {name} = ? WHERE {where}", (edit.value, *found)
        )


def _check() -> None:
    try:
        file = ReplicaFile(_PATH)
        try:
            found = read_file(file)
        finally:
            file.close()
    except (sqlite3.Error, FileDamaged) as error:
        assert problem_of(error) == "damage", "it would be tried again and again"
        return
    if found is None:
        return
    head = found.state.head
    assert tuple(sorted(found.state.entities)) == STATES[head]
    assert found.authority_id == AUTHORITY
    revision = head.version.revision
    base = revision - len(found.log)
    point = head_of(HISTORY[base - 1]) if base else EMPTY
    assert found.log.since(point, 10**9) == HISTORY[base:revision]
    if found.is_fit:
        _look_up(head)


def _look_up(head: Head) -> None:
    """As a worker does, to which the agent has vouched for the file."""
    file = SqliteColdFile(_PATH)
    try:
        reader = ColdReader(file)
        reader.loaded(head.version)
        reader.vouched(b"f" * 16, head.version)
        for term, expected in zip(TERMS, ANSWERS[head], strict=True):
            answer = reader.find(*term, 2.0)
            assert isinstance(answer, Unsettled) or answer == expected, term
    finally:
        file.close()


TARGET = Target(
    attack,
    seeds=[
        bytes([number, *steps])
        for number in range(2)
        for steps in (
            (),
            (0, 0, 16, 0),
            (0, 1, 40, 0),
            (1, 0, 32, 0, 3),
            (2, 1, 64, 9),
            (4, 0, 20, 200, 3),
            (5, 1, 10, 1, 3, 65, 66, 67),
            (7, 0, 2, 3, 1, 3, 75, 76, 77, 1),
            (7, 0, 1, 2, 2, 2, 123, 125, 1),
            (7, 0, 0, 0, 6, 1, 9, 0),
            (7, 0, 3, 2, 7, 0),
        )
    ],
    bytes_max=100,
)
