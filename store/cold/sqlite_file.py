"""Reads the replica file in a worker: one statement a look-up, and so of one moment."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from store.cold.limits import ROWS_MAX
from store.cold.reader import Reading
from store.replica_file.layout import SIDES, checksum_of, term_hash
from store.version import Version

_ABOUT = "a.fill, a.epoch, a.tag, a.revision"
_BY_TERM = f"""
    SELECT {_ABOUT}, t.id, e.id, e.text, e.checksum FROM about a
    LEFT JOIN terms_{{side}} t ON t.term = ?
    LEFT JOIN entities_{{side}} e ON e.kind = ? AND e.id = t.id
    WHERE a.side = {{side}} LIMIT {ROWS_MAX}
"""
_BY_ID = f"""
    SELECT {_ABOUT}, e.id, e.id, e.text, e.checksum FROM about a
    LEFT JOIN entities_{{side}} e ON e.kind = ? AND e.id = ?
    WHERE a.side = {{side}}
"""
_STATEMENTS = {side: (_BY_TERM.format(side=side), _BY_ID.format(side=side)) for side in SIDES}


class SqliteColdFile:
    """Satisfies ``store.cold.reader.ColdFile``. Opened when it is first read, and anew when another
    file has come into its place."""

    def __init__(self, path: Path) -> None:
        self.failures = 0
        """Readings that came to nothing."""
        self._path = str(path)
        self._uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._side = 0

    def read(self, kind: str, field: str, value: str) -> Reading | None:
        """What it holds under a term; None when it can't be read, or what is read is damaged."""
        try:
            reading = self._read(kind, field, value)
        except (sqlite3.Error, OSError, TypeError, ValueError):
            reading = None
            self.close()
        if reading is None:
            self.failures += 1
        return reading

    def close(self) -> None:
        """Let go of the file; reading opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _read(self, kind: str, field: str, value: str) -> Reading | None:
        connection = self._opened()
        for side in (self._side, 1 - self._side):
            by_term, by_id = _STATEMENTS[side]
            try:
                if field == "id":
                    rows = connection.execute(by_id, (kind, value)).fetchall()
                else:
                    term = term_hash(kind, field, value)
                    rows = connection.execute(by_term, (term, kind)).fetchall()
            except sqlite3.OperationalError:
                continue  # that side's tables may be gone by now, or not be there yet
            if rows:
                self._side = side
                return _reading(kind, rows)
        return None

    def _opened(self) -> sqlite3.Connection:
        inode = os.stat(self._path).st_ino
        if self._connection is None or inode != self._inode:
            self.close()
            self._connection = sqlite3.connect(self._uri, uri=True, isolation_level=None)
            self._connection.execute("PRAGMA query_only = ON")
            self._inode = inode
        return self._connection


def _reading(
    kind: str, rows: list[tuple[bytes, int, bytes, int, str | None, str, int]]
) -> Reading | None:
    fill, epoch, tag, revision = rows[0][:4]
    found: list[tuple[str, str]] = []
    for *_, led_to, entity_id, text, checksum in rows:
        if led_to is None:
            continue  # there is none
        if entity_id is None or checksum != checksum_of(kind, entity_id, text):
            return None
        found.append((entity_id, text))
    return Reading(fill, Version(epoch, int.from_bytes(tag, "big"), revision), tuple(found))
