"""Rows as chains of versions, who sees which, and who holds them: Postgres' MVCC in small.

A version is visible to a snapshot when what made it was committed before, or is the transaction's
own, and what ended it was not (Postgres documentation, 13.2). Locks are on the row, not on a
version: whoever waits for one looks at the newest version afterwards.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulations.authority.postgres.definitions import Definition, definitions
from simulations.authority.postgres.syntax import LockMode, Unmodelled

CONFLICTS: dict[LockMode, tuple[LockMode, ...]] = {
    "KEY SHARE": ("UPDATE",),
    "SHARE": ("NO KEY UPDATE", "UPDATE"),
    "NO KEY UPDATE": ("SHARE", "NO KEY UPDATE", "UPDATE"),
    "UPDATE": ("KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE"),
}
"""Which locks of others each one waits for (Postgres documentation, table 13.3)."""

Values = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(slots=True, eq=False)
class Version:
    """One state of a row. ``made_at`` and ``ended_at`` count commits; None while uncommitted."""

    values: Values
    maker: "Transaction | None" = None
    made_at: int | None = None
    ender: "Transaction | None" = None
    ended_at: int | None = None

    def is_visible(self, snapshot: int, to: "Transaction") -> bool:
        made = self.maker is to or (self.made_at is not None and self.made_at <= snapshot)
        ended = self.ender is to or (self.ended_at is not None and self.ended_at <= snapshot)
        return made and not ended


class Lockable:
    """Something that transactions hold: a row, or an advisory lock's number."""

    __slots__ = ("holders",)

    def __init__(self) -> None:
        self.holders: dict[Transaction, list[LockMode]] = {}

    def blockers(self, mode: LockMode, wanting: "Transaction") -> list["Transaction"]:
        """Who must end before this one can have it."""
        against = CONFLICTS[mode]
        return [
            holder
            for holder, modes in self.holders.items()
            if holder is not wanting and any(held in against for held in modes)
        ]


class Row(Lockable):
    """One row from its insertion to its deletion, whatever its values were."""

    __slots__ = ("number", "versions")

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.versions: list[Version] = []

    def seen(self, snapshot: int, by: "Transaction") -> Version | None:
        for version in reversed(self.versions):
            if version.is_visible(snapshot, by):
                return version
        return None

    def newest(self, of: "Transaction") -> Version | None:
        """What is committed or its own by now, whatever its snapshot; None when it is gone."""
        for version in reversed(self.versions):
            if version.maker is None or version.maker is of:
                ended = version.ended_at is not None or version.ender is of
                return None if ended else version
        return None


class Table:
    """Rows by number, and by each of their keys."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.rows: dict[int, Row] = {}
        self.next_number = 1
        self._by_key: dict[tuple[str, ...], dict[Key, list[Row]]] = {
            key: {} for key in definition.unique
        }

    def add_version(self, row: Row, version: Version) -> None:
        row.versions.append(version)
        self.rows[row.number] = row
        for columns, index in self._by_key.items():
            rows = index.setdefault(key_of(columns, version.values), [])
            if row not in rows:
                rows.append(row)

    def remove_version(self, row: Row, version: Version) -> None:
        """Forget a version that was rolled back, or that nobody can see any more."""
        row.versions.remove(version)
        for columns, index in self._by_key.items():
            key = key_of(columns, version.values)
            if all(key_of(columns, other.values) != key for other in row.versions):
                index[key].remove(row)
                if not index[key]:
                    del index[key]
        if not row.versions:
            self.rows.pop(row.number, None)

    def with_key(self, columns: tuple[str, ...], key: Key) -> list[Row]:
        """Rows of which some version has this key."""
        return list(self._by_key[columns].get(key, ()))

    def candidates(self, equal: Values) -> list[Row]:
        """Rows that may have these values: by a key that they name whole, else all."""
        for columns in self._by_key:
            if all(column in equal for column in columns):
                return self.with_key(columns, key_of(columns, equal))
        return list(self.rows.values())


def key_of(columns: Iterable[str], values: Values) -> Key:
    return tuple(values[column] for column in columns)


@dataclass(slots=True)
class Change:
    """What a transaction did to one row, for undoing, for the log of changes, for vacuum."""

    table: Table
    row: Row
    ended: Version | None
    made: Version | None


Hold = tuple[Lockable, LockMode]


@dataclass(eq=False, slots=True)
class Transaction:
    """What it did, in order; who waits for it asks ``Database``."""

    number: int
    read_only: bool = False
    repeatable: bool = False
    snapshot: int | None = None
    """The oldest commit count that it looks at now; None between its statements."""
    changes: list[Change] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    savepoints: list[tuple[str, int, int]] = field(default_factory=list)
    """(name, changes before it, holds before it)"""
    notices: list[tuple[str, str]] = field(default_factory=list)
    """(channel, payload), sent when it commits."""
    flushed: bool = False
    """Whether it is in the log of changes, and so can't be undone any more."""

    def release(self, name: str) -> bool:
        """Forget a savepoint and those after it; False when there is none of that name."""
        names = [savepoint[0] for savepoint in self.savepoints]
        if name not in names:
            return False
        last = len(names) - 1 - names[::-1].index(name)
        del self.savepoints[last:]
        return True


Record = tuple[tuple[str, int, Values | None], ...]
"""One committed transaction as a standby gets it: (table, row number, values; None for gone)."""


class Database:
    """The tables of one server, its running transactions, and its log of changes."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.commits = 0
        self.log: list[Record] = []
        """Every commit since this timeline's tables were made or copied."""
        self.running: list[Transaction] = []
        self._advisory: dict[int, Lockable] = {}
        self._transactions = 0
        self._dead: deque[tuple[int, Table, Row, Version]] = deque()

    def define(self, script: str) -> None:
        """Make a migration's tables."""
        for definition in definitions(script):
            self.tables[definition.name] = Table(definition)

    def begin(self, *, read_only: bool = False, repeatable: bool = False) -> Transaction:
        self._transactions += 1
        transaction = Transaction(self._transactions, read_only, repeatable)
        self.running.append(transaction)
        return transaction

    def advisory(self, number: int) -> Lockable:
        return self._advisory.setdefault(number, Lockable())

    # What statements do

    def hold(self, transaction: Transaction, what: Lockable, mode: LockMode) -> None:
        """Take a lock that nobody's lock is in conflict with."""
        modes = what.holders.setdefault(transaction, [])
        if mode not in modes:
            modes.append(mode)
            transaction.holds.append((what, mode))

    def insert(
        self, transaction: Transaction, table: Table, values: Values, number: int = 0
    ) -> Row:
        """A new row; its number is the next one unless another server has given it one."""
        row = Row(number or table.next_number)
        table.next_number = max(table.next_number, row.number + 1)
        version = Version(values, transaction)
        table.add_version(row, version)
        self.hold(transaction, row, "UPDATE")
        transaction.changes.append(Change(table, row, None, version))
        return row

    def replace(
        self, transaction: Transaction, table: Table, row: Row, values: Values | None
    ) -> None:
        """Give a row that the transaction holds other values; None deletes it."""
        ended = row.newest(transaction)
        assert ended is not None, "a row that is gone can't change"
        ended.ender = transaction
        made = None
        if values is not None:
            made = Version(values, transaction)
            table.add_version(row, made)
        transaction.changes.append(Change(table, row, ended, made))

    # How transactions end

    def set_savepoint(self, transaction: Transaction, name: str) -> None:
        mark = (name, len(transaction.changes), len(transaction.holds))
        transaction.savepoints.append(mark)

    def roll_back_to(self, transaction: Transaction, name: str) -> bool:
        """Undo what came after a savepoint, which stays; False when there is none of that name."""
        while transaction.savepoints and transaction.savepoints[-1][0] != name:
            transaction.savepoints.pop()
        if not transaction.savepoints:
            return False
        _, changes, holds = transaction.savepoints[-1]
        self._undo(transaction, changes, holds)
        return True

    def abort(self, transaction: Transaction) -> None:
        """An error: undo up to the last savepoint at once, and let go of what was locked since."""
        _, changes, holds = transaction.savepoints[-1] if transaction.savepoints else ("", 0, 0)
        self._undo(transaction, changes, holds)

    def roll_back(self, transaction: Transaction) -> None:
        self._undo(transaction, 0, 0)
        self.running.remove(transaction)

    def flush(self, transaction: Transaction) -> int | None:
        """Write it to the log of changes; its number there, None when nothing was changed."""
        record = self.record(transaction)
        if record and not transaction.flushed:
            transaction.flushed = True
            self.log.append(record)
            return len(self.log)
        return None

    def commit(self, transaction: Transaction) -> None:
        """Make it visible to every snapshot from now on."""
        self.flush(transaction)
        if transaction.changes:
            self.commits += 1
        for change in transaction.changes:
            if change.made is not None:
                change.made.maker, change.made.made_at = None, self.commits
            if change.ended is not None:
                change.ended.ender, change.ended.ended_at = None, self.commits
                self._dead.append((self.commits, change.table, change.row, change.ended))
        self._release(transaction, 0)
        self.running.remove(transaction)
        self._vacuum()

    def record(self, transaction: Transaction) -> Record:
        """What the transaction leaves behind."""
        last: dict[tuple[str, int], Values | None] = {}
        for change in transaction.changes:
            values = None if change.made is None else change.made.values
            last[change.table.definition.name, change.row.number] = values
        return tuple((table, number, values) for (table, number), values in last.items())

    def apply(self, record: Record) -> None:
        """Do again what a transaction did on another server."""
        transaction = self.begin()
        for name, number, values in record:
            table = self.tables[name]
            row = table.rows.get(number)
            if row is not None:
                self.replace(transaction, table, row, values)
            elif values is not None:  # otherwise it came and went within the transaction
                self.insert(transaction, table, values, number)
        self.commit(transaction)

    def copy(self) -> "Database":
        """What is committed, as a backup or a new standby has it."""
        copied = Database()
        for name, table in self.tables.items():
            new = copied.tables[name] = Table(table.definition)
            new.next_number = table.next_number
            for row in table.rows.values():
                for version in row.versions:
                    if version.made_at is not None and version.ended_at is None:
                        new.add_version(Row(row.number), Version(version.values, None, 0))
        return copied

    def rows(self, name: str) -> Iterator[Values]:
        """The committed rows of a table."""
        for row in self.tables[name].rows.values():
            for version in row.versions:
                if version.made_at is not None and version.ended_at is None:
                    yield version.values

    def _undo(self, transaction: Transaction, changes: int, holds: int) -> None:
        for change in reversed(transaction.changes[changes:]):
            if change.made is not None:
                change.table.remove_version(change.row, change.made)
            if change.ended is not None:
                change.ended.ender = None
        del transaction.changes[changes:]
        self._release(transaction, holds)

    def _release(self, transaction: Transaction, keep: int) -> None:
        for what, mode in transaction.holds[keep:]:
            modes = what.holders[transaction]
            modes.remove(mode)
            if not modes:
                del what.holders[transaction]
        del transaction.holds[keep:]

    def _vacuum(self) -> None:
        """Forget versions that ended before the oldest snapshot."""
        snapshots = [t.snapshot for t in self.running if t.snapshot is not None]
        oldest = min(snapshots, default=self.commits)
        while self._dead and self._dead[0][0] <= oldest:
            _, table, row, version = self._dead.popleft()
            table.remove_version(row, version)


def checked_table(database: Database, name: str) -> Table:
    """Raises Unmodelled when there is no such table: the plans' SQL and the migrations disagree."""
    if name not in database.tables:
        raise Unmodelled(f"no table {name}")
    return database.tables[name]
