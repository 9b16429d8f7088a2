"""Every bound of the store in one table, with the relations between them asserted at import.

A bound is there so that no client, peer or file can make a node use memory or time without limit.
"""

from store.changeset import BODY_BYTES_MAX

STRING_CHARS_MAX = 65_536
"""One string in an entity, unless its field says less."""

UNIQUE_CHARS_MAX = 512
"""A unique value. In UTF-8 at most 2,048 bytes: Postgres indexes no key above 2,704."""

TAG_CHARS_MAX = 512
"""A tag, which is indexed too."""

TTL_SECONDS_MAX = 100_000_000
"""How long an entity that expires may live (Kong's bound)."""

JWK_PART_CHARS_MAX = 2_732
"""A number of a JSON Web Key in base64: 16,384 bits. What is done with one takes more time than it
has bits."""

REGEX_CHARS_MAX = 4_096
"""A regular expression in a route's path. RE2 bounds the compiled program by memory besides."""

ELEMENTS_MAX = 10_000
"""Items of one array or set, and keys of one map."""

ENTITY_BYTES_MAX = 1024 * 1024
"""One entity as canonical JSON in UTF-8."""

MUTATIONS_MAX = 100_000
"""Mutations of one write; a declarative sync is the one that comes near."""

REPLACE_SINCE_MAX = 256
"""Changesets that may have been written since the state was read which a declarative document is
compared with."""

REPLACE_ATTEMPTS_MAX = 5
"""How often a document is compared anew, when others have written the same entities meanwhile."""

COMPARED_ENTITIES_MAX = 250_000
"""Entities of a state with which a document is compared: some 500 MB for as long as that takes."""

PAUSE_MUTATIONS = 16
"""After so many mutations a long write lets other tasks of its process go on (some 5 ms)."""

PAUSE_ROWS = 256
"""After so many rows it does so while it prepares what is to be written."""

BATCH_ROWS_MAX = 1_000
"""Rows that one batch reads or writes: it must end within STATEMENT_SECONDS_MAX."""

WRITERS_TOGETHER_MAX = 64
"""Writes of one node that share a transaction."""

MUTATIONS_TOGETHER_MAX = 256
"""Mutations of writes that share a transaction; a write with more has one to itself, since it would
keep the others waiting."""

BULK_PATIENCE_SECONDS = 30.0
"""How long a write that has a transaction to itself waits for others like it."""

COMMITS_MAX = 2
"""How often a write is committed whose COMMIT is known to have come to nothing."""

WRITES_WAITING_MAX = 1_000
"""Writes of one node that wait for their transaction; more are refused (503)."""

CASCADE_DEPTH_MAX = 16
"""How deep a deletion follows references. Kong's schemas need 3."""

REMOVALS_MAX = 4_096
"""Nodes that were forced out and are remembered as such; the latest stay."""

PAGE_SIZE_MAX = 1_000
"""Entities of one page of a list (Kong's bound)."""

LOG_CHANGESETS_MAX = 10_000
"""Changesets that a replica keeps for its peers (DESIGN 5, level 1)."""

LOG_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of bodies that a replica keeps for its peers."""

STATE_HASHES_MAX = 4_096
"""Versions of which a replica remembers the state hash (DESIGN 5)."""

SLICE_ENTITIES_MAX = 512
"""Entities in one slice of a snapshot, however small: taking one in must not hold the loop."""

FILLED_AT_ONCE = 512
"""Entities of a whole state that are read before they are put in."""

SKETCH_SYMBOLS_MAX = 8_192
"""Symbols that a decoder takes in before it gives up: some 5,800 differences. Beyond, whole ranges
are fewer bytes and less work."""

SKETCH_STEP_ENTITIES = 256
"""Entities that one step of building a sketch, or of an audit, takes in."""

SKETCH_GROWTH = 8
"""A sketch is asked for on by an eighth of what has come: what is sent in vain is a sixteenth of it
in the mean, and a thousand differences take some 60 questions."""

SKETCH_BATCH_MAX = 512
"""Symbols of one answer."""

RANGE_ENTITIES = 256
"""Entities of one range, of which a fingerprint is told (DESIGN 5, level 2)."""

RANGES_TOLD_MAX = 512
"""Ranges of one answer."""

RANGES_MAX = 65_536
"""Ranges that are taken from a peer: 16 million entities."""

RANGES_LISTED_MAX = 32
"""Ranges whose items one answer lists: with 16 bytes for each item, 128 KiB."""

ITEMS_ASKED_MAX = 512
"""Entities that one question asks a peer for."""

ENTITIES_TOLD_BYTES = 128 * 1024
"""An answer ends once its entities have so many bytes."""

SEARCH_STEP_ITEMS = 8_192
"""Items that one step of a search looks at."""

SEARCHES_MAX = 16
"""Questions of peers that are being searched for at once."""

DIFFERENCE_SHARE_MAX = 4
"""A peer's state of which more than one part in so many differs is taken whole."""

DIFFERENCE_SMALL = 1_000
"""So many entities that differ are never too large a part."""

CHANGES_AT_ONCE_MAX = 256
CHANGES_AT_ONCE_BYTES_MAX = 256 * 1024
"""Changes that are applied to what is served in one go: some 10 ms. More go through a shadow."""

PREPARED_CHANGES = 64
PREPARED_BYTES = 64 * 1024
"""Of those, what one step prepares: some 4 ms."""

HASHED_BYTES = 4 * 1024 * 1024
"""What one step hashes of a changeset's body."""

RELEASED_STATES_MAX = 4
"""Replaced states that are being let go of by and by."""

RELEASED_MAX = 4_096
"""Entries of an index that are let go of in one step, when a whole state was replaced."""

LOG_REVISIONS_MAX = 100_000
"""Revisions that the authority's log keeps."""

LOG_REVISIONS_MIN = 1_000
"""Revisions that it keeps however old they are."""

LOG_SECONDS_MAX = 3 * 24 * 3600.0
"""How long it keeps the others, and so how long an Idempotency-Key is good."""

TRIM_EVERY = 256
"""After so many revisions the log is trimmed."""

TRIM_ROWS_MAX = 1_000
"""Log rows that go at a time. More than TRIM_EVERY, so that a long log gets shorter."""

INTEGER_MAX = 2**53
"""Larger ones don't survive clients that read JSON numbers as doubles, as Kong itself does."""

STATE_ROWS_MAX = 2_000
"""Entities that one statement reads when the whole state is read."""

AUDIT_SLICE_ROWS = 500
"""Rows of the state table that an audit hashes before others get their turn (some 5 ms)."""

AUDIT_ROWS_MAX = 10_000
"""Rows that one step of an audit looks at again under their locks."""

AUDIT_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of rows after which an audit's changeset takes no more."""

LOG_READ_CHANGESETS = 1_000
"""Changesets that are read of the log at a time."""

AUDIT_LOG_CHANGESETS = 10_000
"""Changesets that may have been committed while the state table was gone through."""

KEYRING_BYTES_MAX = 65_536
"""The wrapped keyring; both schemas say so, too."""

BUSY_SECONDS_MAX = 5.0
"""How long a write or read waits for a locked SQLite file before it answers 503 (DESIGN 3)."""

DOCUMENT_BYTES_MAX = 64 * 1024 * 1024
"""The text of a declarative document."""

DOCUMENT_NODES_MAX = 10_000_000
"""Values of a declarative document, those that aliases repeat included."""

DOCUMENT_DEPTH_MAX = 64
"""How deep a declarative document is nested. Kong's entities need 9."""

DOCUMENT_NUMBER_MAX = 2**63 - 1
"""Largest magnitude of an integer in a declarative document: what both databases can hold."""

DOCUMENT_ERRORS_MAX = 1_000
"""Errors of a declarative document that are told at once."""

STANDBY_REST_SECONDS = 5.0
"""How long a read replica that failed isn't asked again."""

WATCH_PING_SECONDS = 5.0
"""How often a connection that only listens is asked whether it still stands."""

WATCH_ANSWER_SECONDS = 2.0
"""How long that answer may take."""

DATA_VERSION_SECONDS = 0.25
"""How often a SQLite file is asked whether another process has changed it (DESIGN 4, point 6)."""

LOCK_SECONDS_MAX = 2.0
"""How long a statement waits for a lock in Postgres (DESIGN 3)."""

STATEMENT_SECONDS_MAX = 5.0
"""How long a statement may run in Postgres."""

IDLE_IN_TRANSACTION_SECONDS_MAX = 5.0
"""How long Postgres lets a node pause within a transaction before it takes the locks away."""

SETTINGS_CHECKED_SECONDS = 600.0
"""How long what was seen of one connection's settings counts for the next ones to that host."""

MIGRATION_SECONDS_MAX = 600.0
"""How long one migration file may run: it may rewrite a large table."""

ATTEMPTS_MAX = 8
"""How often a transaction is tried that Postgres gave up for others' sake (a deadlock, a fail-over)
or whose connection turned out to be dead, and a PUT whose row another node makes at that moment."""

CLOSE_SECONDS_MAX = 2.0
"""How long closing waits for statements under way before it drops their connections."""

assert LOCK_SECONDS_MAX < STATEMENT_SECONDS_MAX, "a wait for a lock must be told as such"
assert ENTITY_BYTES_MAX < BODY_BYTES_MAX, "every entity must fit a changeset"
assert BODY_BYTES_MAX <= LOG_BYTES_MAX, "every changeset must fit the log"
assert REGEX_CHARS_MAX <= STRING_CHARS_MAX <= ENTITY_BYTES_MAX
assert UNIQUE_CHARS_MAX <= STRING_CHARS_MAX
assert WRITERS_TOGETHER_MAX <= MUTATIONS_TOGETHER_MAX <= MUTATIONS_MAX
assert 0 < LOG_REVISIONS_MIN <= LOG_REVISIONS_MAX
assert TRIM_EVERY < TRIM_ROWS_MAX, "the log must lose more than it gains"
assert TAG_CHARS_MAX <= STRING_CHARS_MAX
assert SKETCH_BATCH_MAX <= SKETCH_SYMBOLS_MAX
assert RANGE_ENTITIES * RANGES_LISTED_MAX * 16 <= ENTITIES_TOLD_BYTES, "answers are alike in size"
assert AUDIT_BYTES_MAX + ENTITY_BYTES_MAX < BODY_BYTES_MAX
