"""Reads and writes the replica file: synchronous, each function one transaction or a few.

WAL without a flush per commit: after kill -9 the file is what the last commit made it, after a
power cut what some earlier one did. ``store.replica_file.persister`` decides what to write; the
agent runs this in a connection's thread, simulations call it directly.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from store.canonical import decode_entity
from store.changelog import Changelog
from store.changeset import Change, Changeset, chain, decode_body
from store.limits import LOG_BYTES_MAX, LOG_CHANGESETS_MAX
from store.replica_file import layout
from store.replica_file.aside import clear_companions
from store.replica_file.layout import About, FileDamaged, OutOfStep, Sum
from store.replica_file.limits import BUSY_SECONDS_MAX, WAL_BYTES_MAX
from store.replica_file.persister import Problem
from store.schema import is_cold
from store.version import Head, Version

_FAILURES_OF_DISK = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
}
"""What is wrong with the disk, its rights or its room, and not with what stands in the file."""


class Loaded(NamedTuple):
    """A whole file, checked."""

    about: About
    log: Changelog
    is_fit: bool
    """Whether cold kinds are found in it by the terms that this software uses."""


def problem_of(error: Exception) -> Problem:
    """What a failure to read or write means for the file."""
    if isinstance(error, OutOfStep):
        return "step"
    if isinstance(error, sqlite3.Error):
        code: int = getattr(error, "sqlite_errorcode", None) or 0
        torn = code == sqlite3.SQLITE_IOERR_SHORT_READ
        return "disk" if code & 0xFF in _FAILURES_OF_DISK and not torn else "damage"
    return "damage" if isinstance(error, FileDamaged) else "disk"


class ReplicaFile:
    """One open file. Every method raises sqlite3.Error and FileDamaged (see ``problem_of``)."""

    def __init__(
        self,
        path: Path,
        *,
        draw_fill: Callable[[], bytes] = lambda: secrets.token_bytes(layout.FILL_BYTES),
    ) -> None:
        """Open it, or make an empty one. Raises FileDamaged for one that isn't ours to write."""
        clear_companions(path)
        self._draw_fill = draw_fill
        uri = f"file:{quote(str(path.absolute()))}?mode=rwc"
        self.connection = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            timeout=BUSY_SECONDS_MAX,
            check_same_thread=False,
        )
        try:
            with _unreadable_is_damage():
                self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        """Close it; the write-ahead log is worked off when nobody else reads."""
        self.connection.close()

    def _prepare(self) -> None:
        run = self.connection.execute
        check_origin(self.connection)
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        if _pragma(self.connection, "application_id") == 0:
            with _Transaction(self.connection):
                run(f"PRAGMA application_id = {layout.APPLICATION_ID}")
                run(f"PRAGMA user_version = {layout.FORMAT}")
                run(layout.ABOUT_TABLE)

    def about(self) -> About | None:
        """What the file says of itself; None when nothing was ever written to it."""
        with _unreadable_is_damage():
            return read_about(self.connection)

    def load(self, take: Callable[[Iterable[Change]], None]) -> Loaded | None:
        """Everything, checked row by row; None when nothing was ever written to it.

        ``take`` is given the entities, by kind and id; whether all of them are right is known only
        at the end. What it raises of ValueError is damage.
        """
        about = self.load_hot(take)
        return None if about is None else self.load_rest(take, about)

    def load_hot(self, take: Callable[[Iterable[Change]], None]) -> About | None:
        """The kinds that workers hold, which are few; None when nothing was ever written."""
        with _unreadable_is_damage(), _Transaction(self.connection, "BEGIN"):
            about = self.about()
            if about is not None:
                self._check_rows(about)
                take(self._entities(about, [kind for kind in about.sums if not is_cold(kind)]))
            return about

    def load_rest(self, take: Callable[[Iterable[Change]], None], about: About) -> Loaded:
        """What ``load_hot`` has left. Raises FileDamaged if the file is another by now."""
        with _unreadable_is_damage(), _Transaction(self.connection, "BEGIN"):
            if self.about() != about:
                raise FileDamaged("somebody else writes to it")
            take(self._entities(about, [kind for kind in about.sums if is_cold(kind)]))
            log = self._log(about)
        return Loaded(about, log, about.shape == layout.shape())

    def _check_rows(self, about: About) -> None:
        """That there is neither more nor less than ``about`` knows."""
        (count,) = self.connection.execute(f"SELECT count(*) FROM entities_{about.side}").fetchone()
        if count != sum(item.rows for item in about.sums.values()):
            raise FileDamaged("entities are missing, or there are more than were written")
        terms = self.connection.execute(
            f"SELECT count(*), {layout.TERM_PARTS} FROM terms_{about.side}"
        ).fetchone()
        if about.terms != terms:
            raise FileDamaged("terms are missing, or are of another time")

    def _entities(self, about: About, kinds: Iterable[str]) -> Iterator[Change]:
        for kind in sorted(kinds):
            count = total = 0
            rows = self.connection.execute(
                "SELECT kind, id, text, checksum "
                f"FROM entities_{about.side} WHERE kind = ? ORDER BY id",
                (kind,),
            )
            # SQLite walks from where the kind begins: what lies there may have another by now.
            for of_kind, entity_id, text, checksum in rows:
                if of_kind != kind or checksum != layout.checksum_of(kind, entity_id, text):
                    raise FileDamaged(f"{kind} {entity_id} doesn't fit its checksum")
                count += 1
                total += checksum
                yield Change(kind, entity_id, text)
            if Sum().plus(total, count) != about.sums[kind]:
                raise FileDamaged(f"{kind} are missing, or are of another time")

    def _log(self, about: About) -> Changelog:
        log = Changelog(about.log_base)
        point, size, count = about.log_base, 0, 0
        for revision, epoch, tag, predecessor, digest, body, checksum in self.connection.execute(
            "SELECT revision, epoch, tag, predecessor, digest, body, checksum "
            f"FROM log_{about.side} ORDER BY revision"
        ):
            version = Version(epoch, int.from_bytes(tag, "big"), revision)
            follows = predecessor == point.digest and revision == point.version.revision + 1
            placed = checksum == layout.log_checksum((epoch, tag, revision), digest)
            if not (follows and placed) or chain(predecessor, body) != digest:
                raise FileDamaged(f"changeset {version} doesn't follow the one before it")
            log.append(Changeset(version, predecessor, digest, body))
            point, size, count = Head(version, digest), size + len(body), count + 1
        if (point, size, count) != (about.head, about.log_bytes, about.log_count):
            raise FileDamaged("changesets are missing, or are of another time")
        return log

    # A batch of changesets

    def write_batch(self, base: Head, changesets: Sequence[Changeset], authority_id: str) -> About:
        """Bring the file from ``base`` to the last of these: all of them, or nothing is changed.

        A batch that was written before is no error. Raises OutOfStep when the file is elsewhere.
        """
        with _unreadable_is_damage(), _Transaction(self.connection):
            about = self.about()
            end = Head(changesets[-1].version, changesets[-1].digest) if changesets else base
            if about is None or about.head not in (base, end) or about.shape != layout.shape():
                raise OutOfStep(f"the file holds {about.head.version if about else 'nothing'}")
            if about.head == base:
                about = self._put_changes(about, _final(changesets))
                about = self._put_log(about, changesets)
            about = about._replace(head=end, authority_id=authority_id)
            self._put_about(about)
        return about

    def _put_changes(self, about: About, changes: Iterable[Change]) -> About:
        run, side = self.connection.execute, about.side
        sums, terms = dict(about.sums), about.terms
        for kind, entity_id, text in changes:
            fields = layout.term_fields(kind)
            before = run(
                f"SELECT text, checksum FROM entities_{side} WHERE kind = ? AND id = ?",
                (kind, entity_id),
            ).fetchone()
            if before is not None:
                sums[kind] = sums.get(kind, Sum()).minus(before[1])
                rows = _term_rows(kind, entity_id, before[0], fields)
                self.connection.executemany(
                    f"DELETE FROM terms_{side} WHERE term = ? AND id = ?", rows
                )
                for term, _ in rows:
                    terms = terms.minus(layout.term_part(term))
            if text is None:
                run(f"DELETE FROM entities_{side} WHERE kind = ? AND id = ?", (kind, entity_id))
                continue
            checksum = layout.checksum_of(kind, entity_id, text)
            sums[kind] = sums.get(kind, Sum()).plus(checksum)
            run(
                f"INSERT OR REPLACE INTO entities_{side} VALUES (?, ?, ?, ?)",
                (kind, entity_id, text, checksum),
            )
            rows = _term_rows(kind, entity_id, text, fields)
            self._put_terms(side, rows)
            for term, _ in rows:
                terms = terms.plus(layout.term_part(term))
        return about._replace(sums=sums, terms=terms)

    def _put_log(self, about: About, changesets: Sequence[Changeset]) -> About:
        self.connection.executemany(
            f"INSERT INTO log_{about.side} VALUES (?, ?, ?, ?, ?, ?, ?)", map(_log_row, changesets)
        )
        count = about.log_count + len(changesets)
        size = about.log_bytes + sum(len(item.body) for item in changesets)
        base = about.log_base
        oldest = self.connection.execute(
            "SELECT revision, epoch, tag, digest, length(body) "
            f"FROM log_{about.side} ORDER BY revision"
        )
        while count > LOG_CHANGESETS_MAX or size > LOG_BYTES_MAX:
            revision, epoch, tag, digest, length = oldest.fetchone()
            base = Head(Version(epoch, int.from_bytes(tag, "big"), revision), digest)
            count, size = count - 1, size - length
        oldest.close()
        if base != about.log_base:
            self.connection.execute(
                f"DELETE FROM log_{about.side} WHERE revision <= ?", (base.version.revision,)
            )
        return about._replace(log_base=base, log_count=count, log_bytes=size)

    def _put_terms(self, side: int, rows: Iterable[tuple[int, str]]) -> None:
        self.connection.executemany(f"INSERT INTO terms_{side} VALUES (?, ?)", rows)

    def _put_about(self, about: About) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO about VALUES (1, ?, ?, ?, ?, ?, ?, ?)", layout.seal(about)
        )

    # Everything anew

    def begin_whole(self) -> "WholeWrite":
        """Begin to write everything anew, beside what holds until that is done."""
        about = self.about()
        side = 0 if about is None else 1 - about.side
        with _unreadable_is_damage(), _Transaction(self.connection):
            self._drop(side)
            for table in layout.SIDE_TABLES:
                self.connection.execute(table.format(side=side))
        return WholeWrite(self, side, self._draw_fill())

    def drop_unused(self) -> None:
        """Give back the room of what doesn't hold (any more)."""
        about = self.about()
        for side in layout.SIDES:
            if about is None or about.side != side:
                with _unreadable_is_damage(), _Transaction(self.connection):
                    self._drop(side)

    def _drop(self, side: int) -> None:
        for name in layout.SIDE_NAMES:
            self.connection.execute(f"DROP TABLE IF EXISTS {name}_{side}")


class WholeWrite:
    """Everything, written slice by slice and then taken into use at once."""

    def __init__(self, file: ReplicaFile, side: int, fill: bytes) -> None:
        self._file = file
        self.connection = file.connection
        self._side = side
        self._fill = fill
        self._sums: dict[str, Sum] = {}
        self._terms = Sum()

    def write(self, changes: Sequence[Change]) -> None:
        """Add a slice: entities, none of them twice, in order of (kind, id) for speed."""
        entities: list[tuple[str, str, str, int]] = []
        terms: list[tuple[int, str]] = []
        for kind, entity_id, text in changes:
            assert text is not None, "a state has no deletions"
            checksum = layout.checksum_of(kind, entity_id, text)
            self._sums[kind] = self._sums.get(kind, Sum()).plus(checksum)
            entities.append((kind, entity_id, text, checksum))
            terms += _term_rows(kind, entity_id, text, layout.term_fields(kind))
        for term, _ in terms:
            self._terms = self._terms.plus(layout.term_part(term))
        with _unreadable_is_damage(), _Transaction(self.connection):
            self.connection.executemany(
                f"INSERT INTO entities_{self._side} VALUES (?, ?, ?, ?)", entities
            )
            self._file._put_terms(self._side, terms)

    def finish(self, head: Head, authority_id: str) -> About:
        """Take it into use. The log in the file begins at this head."""
        about = About(
            side=self._side,
            fill=self._fill,
            head=head,
            authority_id=authority_id,
            shape=layout.shape(),
            sums=self._sums,
            terms=self._terms,
            log_base=head,
            log_count=0,
            log_bytes=0,
        )
        with _unreadable_is_damage(), _Transaction(self.connection):
            self._file._put_about(about)
        self._file.drop_unused()
        return about


@contextlib.contextmanager
def _unreadable_is_damage() -> Iterator[None]:
    """A damaged page yields values of any type, messages of SQLite's that are no text, and sizes
    for which it finds no memory."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise FileDamaged(f"a row can't be read: {error!r}") from error


class _Transaction:
    """``BEGIN IMMEDIATE`` … ``COMMIT``, or ``ROLLBACK`` when something is raised."""

    def __init__(self, connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> None:
        self.connection = connection
        self._begin = begin

    def __enter__(self) -> None:
        self.connection.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self.connection.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        # A full disk may have ended the transaction already.
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


def check_origin(connection: sqlite3.Connection) -> None:
    """Raises FileDamaged unless this software, of this format, wrote the file or it is empty."""
    origin = _pragma(connection, "application_id")
    if origin == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return
    if origin != layout.APPLICATION_ID:
        raise FileDamaged("it is no replica file")
    written = _pragma(connection, "user_version")
    if written != layout.FORMAT:
        raise FileDamaged(f"its format is {written}; this version reads {layout.FORMAT}")


def read_about(connection: sqlite3.Connection) -> About | None:
    """What a file says of itself; None when nothing was ever written to it. Raises FileDamaged."""
    row = connection.execute(
        "SELECT side, fill, epoch, tag, revision, rest, checksum FROM about"
    ).fetchone()
    return None if row is None else layout.unseal(row)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _final(changesets: Iterable[Changeset]) -> list[Change]:
    """What several changesets in a row come to: the last state of each entity."""
    final: dict[tuple[str, str], Change] = {}
    for changeset in changesets:
        for change in decode_body(changeset.body).changes:
            final[change.kind, change.id] = change
    return list(final.values())


def _log_row(changeset: Changeset) -> tuple[int, int, bytes, bytes, bytes, bytes, int]:
    epoch, number, revision = changeset.version
    tag, digest = number.to_bytes(8, "big"), changeset.digest
    checksum = layout.log_checksum((epoch, tag, revision), digest)
    return revision, epoch, tag, changeset.predecessor, digest, changeset.body, checksum


def _term_rows(
    kind: str, entity_id: str, text: str, fields: tuple[str, ...]
) -> list[tuple[int, str]]:
    if not fields:
        return []
    entity = decode_entity(text)
    return [
        (layout.term_hash(kind, field, value), entity_id)
        for field, value in layout.terms_of(fields, entity)
    ]
