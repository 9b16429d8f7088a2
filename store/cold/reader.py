"""How a worker knows an entity of a cold kind at exactly the version that it serves (DESIGN 7).

The worker has applied changesets up to its version; the replica file is at f, which lags or leads.
A look-up goes overlay, cache, file:

- The *overlay* holds the cold changes of every changeset above f that the worker has applied,
  values and deletions. What it says of an entity wins over the file: a revoked credential doesn't
  come back through a slow disk.
- A row is read together with f. f below the worker's version: the overlay is laid over it. f above:
  the worker applies up to f first (``Ahead``).
- An answer is cached if the overlay had no part in it, and forgotten once a change touches it.

The file is believed only under a *fill* that the agent has vouched for, and only from the *floor*
on: the version from which the overlay is complete. What can't be settled so is for the agent to
answer (``Unsettled``), and never "no such entity". What has expired (``expires_at``) is left out,
wherever it was found.

A purge forgets answers and changes none: what is cached holds at the version served here, or it
wouldn't be.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from store.authority import Entity
from store.canonical import decode_entity
from store.changeset import Change
from store.cold.cache import Cache
from store.cold.cache_key import CacheKey
from store.cold.overlay import Entry, Overlay, Row, Rows, Term
from store.replica_file.layout import term_fields, term_value, terms_of
from store.schema import cold_kinds, schema
from store.version import GENESIS, Version


class Reading(NamedTuple):
    """What a source holds under a term, all of one moment."""

    fill: bytes | None
    """None: it isn't the file that says so, but the agent."""
    version: Version
    rows: tuple[tuple[str, str], ...]
    """(id, text) of the entities. Of the file: those that the term's hash leads to."""


class ColdFile(Protocol):
    """The replica file, as far as look-ups go."""

    def read(self, kind: str, field: str, value: str) -> Reading | None:
        """What it holds; None when it can't be read, whatever the reason."""


class Found(NamedTuple):
    """The entities' stored texts; none when there is no such entity."""

    texts: tuple[str, ...]


class Ahead(NamedTuple):
    """Ask again once this version is applied."""

    version: Version


class Unsettled(NamedTuple):
    """Only the agent can tell."""


Answer = Found | Ahead | Unsettled
UNSETTLED = Unsettled()


class ColdReader:
    """One worker's view. ``version`` is what it serves."""

    def __init__(self, file: ColdFile) -> None:
        self.version = GENESIS
        self.edition = object()
        """Another one whenever an answer may be another from here on, or is to be looked for anew:
        what was made of answers under one holds as long as it is the same object, and as nothing in
        them expires."""
        self.cached = self.read = self.unsettled = 0
        """Look-ups that the cache answered, those that the file was read for, and those that
        neither could answer."""
        self.purges = 0
        """How often something was purged. A look-up that is answered by another than the file takes
        its time: what was asked before a purge isn't cached."""
        self._file = file
        self._overlay = Overlay()
        self._cache = Cache()
        self._fill: bytes | None = None
        self._floor = GENESIS
        """What happened after it is in the overlay; of what happened before nothing is known."""

    # What the agent tells

    def loaded(self, version: Version) -> None:
        """The worker serves another whole state, whose cold part it wasn't given."""
        self.version = self._floor = version
        self.edition = object()
        self._fill = None
        self._overlay.clear()
        self._cache.clear()

    def apply(self, version: Version, changes: Iterable[Change]) -> None:
        """The worker has applied the next changeset; other kinds in it are passed over."""
        self.version = version
        cold = cold_kinds()
        for change in changes:
            if change[0] not in cold:
                continue
            self.edition = object()
            if not self._note(version, Change(*change)):
                # What the file hasn't is from now on the agent's to tell.
                self._overlay.clear()
                self._floor = version

    def vouched(self, fill: bytes, version: Version) -> None:
        """What the file holds under this fill is of the history served here, and is at least at
        this version."""
        self._fill = fill
        self._prune(version)

    def purge_key(self, key: CacheKey) -> None:
        """Forget what look-ups of this came to, and those entities under whatever else."""
        self._purged()
        for term in key.terms():
            self._cache.purge(term)
        for value in key.values:
            self._cache.changed((key.kind, value))

    def purge_tag(self, tag: str) -> None:
        """Forget the entities with this tag."""
        self._purged()
        self._cache.purge_tag(tag)

    def purge_all(self) -> None:
        """Forget all answers. What the overlay holds is no cache."""
        self._purged()
        self._cache.clear()

    def _purged(self) -> None:
        self.purges += 1
        self.edition = object()

    # What requests ask

    def peek(self, key: CacheKey, now: float) -> tuple[str, ...] | None:
        """The stored texts that are cached for this; None when nothing is."""
        for term in key.terms():
            rows = self._cache.peek(term)
            if rows is not None:
                return _live(rows, now).texts
        return None

    def find(self, kind: str, field: str, value: str, now: float) -> Answer:
        """The entities of a cold kind by ``id``, by a unique field or by a reference's id.

        ``now`` is in Unix seconds.
        """
        term = (kind, field, value)
        rows = self._cache.get(term, now)
        if rows is not None:
            self.cached += 1
            return _live(rows, now)
        if _is_unique(kind, field):
            changed = self._changed(term)
            if changed is not None:
                return _live(changed, now)
        self.read += 1
        reading = self._file.read(kind, field, value)
        if reading is None or reading.fill != self._fill or self._fill is None:
            self.unsettled += 1
            return UNSETTLED
        return self.settle(kind, field, value, reading, now)

    def settle(
        self,
        kind: str,
        field: str,
        value: str,
        reading: Reading,
        now: float,
        begun: int | None = None,
    ) -> Answer:
        """What a reading comes to at the version served here. ``begun``: ``purges`` when it was
        asked for, unless that is now."""
        if reading.version > self.version:
            return Ahead(reading.version)
        if reading.version < self._floor:
            self.unsettled += 1
            return UNSETTLED
        term = (kind, field, value)
        read = tuple(_having(reading.rows, field, value))
        if reading.fill is not None and len(read) < len(reading.rows):
            # Two hashes are alike, which never happens; or a term leads astray, and its own entity
            # isn't found: the file has been damaged since it was checked.
            self.unsettled += 1
            return UNSETTLED
        if reading.fill is not None:
            self._prune(reading.version)
        kept = tuple(row for row in read if self._overlay.get((kind, row.id)) is None)
        changed = self._changed(term) or ()
        if not changed and kept == read and read and begun in (None, self.purges):
            self._cache.put(term, read, now)
        return _live(kept + changed, now)

    def _changed(self, term: Term) -> Rows | None:
        """Entities with this term by the overlay; None when it has nothing to say of it."""
        kind, field, value = term
        if field == "id":
            entry = self._overlay.get((kind, value))
            if entry is None:
                return None
            return (entry.row,) if entry.row is not None else ()
        return tuple(self._overlay.having(term)) or None

    def _note(self, version: Version, change: Change) -> bool:
        kind, entity_id, text = change
        key = (kind, entity_id)
        self._cache.changed(key)
        terms: tuple[Term, ...] = ()
        row: Row | None = None
        if text is not None:
            entity = decode_entity(text)
            row = _row(entity_id, text, entity)
            terms = tuple((kind, *term) for term in terms_of(term_fields(kind), entity))
        for term in terms:
            self._cache.drop(term)
        return self._overlay.put(key, Entry(version, row, terms))

    def _prune(self, version: Version) -> None:
        self._overlay.prune(version)
        self._floor = max(self._floor, version)


def _is_unique(kind: str, field: str) -> bool:
    if field == "id":
        return True
    try:
        known = schema(kind)
    except KeyError:
        return False
    return field == known.endpoint_key or field in known.unique


def _having(rows: Iterable[tuple[str, str]], field: str, value: str) -> Iterator[Row]:
    for entity_id, text in rows:
        entity = decode_entity(text)
        if term_value(entity.get(field)) == value:
            yield _row(entity_id, text, entity)


def _live(rows: Rows, now: float) -> Found:
    if len(rows) == 1 and rows[0].expires_at is None:  # nearly always
        return Found((rows[0].text,))
    return Found(tuple(row.text for row in rows if row.expires_at is None or row.expires_at > now))


def _row(entity_id: str, text: str, entity: Entity) -> Row:
    """Written to stand whatever a newer version puts into these fields."""
    ends, tags = entity.get("expires_at"), entity.get("tags")
    return Row(
        entity_id,
        text,
        ends if isinstance(ends, int | float) else None,
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
    )
