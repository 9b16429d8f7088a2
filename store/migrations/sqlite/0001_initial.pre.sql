-- The tables of the authority. They are generic (docs/decisions/0001): a kind of entity, also one
-- that only a newer version knows, needs no table of its own.

CREATE TABLE authority (
    singleton      INTEGER PRIMARY KEY CHECK (singleton = 1),
    id             TEXT    NOT NULL,
    cluster_key    BLOB    NOT NULL CHECK (length(cluster_key) = 32),
    schema_version INTEGER NOT NULL
) STRICT;

CREATE TABLE head (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    epoch     INTEGER NOT NULL CHECK (epoch >= 1),
    tag       BLOB    NOT NULL CHECK (length(tag) = 8),
    revision  INTEGER NOT NULL CHECK (revision >= 0),
    chain     BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;

CREATE TABLE log (
    revision     INTEGER PRIMARY KEY,
    epoch        INTEGER NOT NULL,
    tag          BLOB    NOT NULL CHECK (length(tag) = 8),
    write_id     BLOB    NOT NULL UNIQUE CHECK (length(write_id) = 16),
    predecessor  BLOB    NOT NULL CHECK (length(predecessor) = 32),
    chain        BLOB    NOT NULL CHECK (length(chain) = 32),
    body         BLOB    NOT NULL,
    committed_at REAL    NOT NULL
) STRICT;

-- The other half of the statement that appends to the log: no log row without its head.
CREATE TRIGGER log_moves_head AFTER INSERT ON log
BEGIN
    UPDATE head SET epoch = NEW.epoch, tag = NEW.tag, revision = NEW.revision, chain = NEW.chain;
END;

CREATE TABLE entity (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

CREATE TABLE entity_unique (
    kind  TEXT NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    id    TEXT NOT NULL,
    PRIMARY KEY (kind, field, value),
    FOREIGN KEY (kind, id) REFERENCES entity (kind, id)
) STRICT;
CREATE INDEX entity_unique_of_entity ON entity_unique (kind, id);

CREATE TABLE entity_reference (
    kind        TEXT NOT NULL,
    id          TEXT NOT NULL,
    field       TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id   TEXT NOT NULL,
    PRIMARY KEY (kind, id, field),
    FOREIGN KEY (kind, id) REFERENCES entity (kind, id),
    FOREIGN KEY (target_kind, target_id) REFERENCES entity (kind, id)
) STRICT;
CREATE INDEX entity_reference_to_target ON entity_reference (target_kind, target_id, kind, id);

CREATE TABLE entity_tag (
    tag  TEXT NOT NULL,
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    PRIMARY KEY (tag, kind, id),
    FOREIGN KEY (kind, id) REFERENCES entity (kind, id)
) STRICT;
CREATE INDEX entity_tag_of_entity ON entity_tag (kind, id);

CREATE TABLE node (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    address    TEXT    NOT NULL
) STRICT;
