-- The tables of the authority. They are generic (docs/decisions/0001): a kind of entity, also one
-- that only a newer version knows, needs no table of its own.
--
-- Names are not qualified: the session's search_path is our schema and nothing else. Keys compare by
-- bytes (COLLATE "C"), as they do in SQLite and in the replicas.

CREATE TABLE authority (
    singleton      integer PRIMARY KEY CHECK (singleton = 1),
    id             text    NOT NULL,
    cluster_key    bytea   NOT NULL CHECK (length(cluster_key) = 32),
    schema_version integer NOT NULL
);

-- Every write updates this row, so it is given room to stay on its page (HOT). predecessor is the
-- chain before the last update.
CREATE TABLE head (
    singleton   integer PRIMARY KEY CHECK (singleton = 1),
    epoch       bigint  NOT NULL CHECK (epoch >= 1),
    tag         bytea   NOT NULL CHECK (length(tag) = 8),
    revision    bigint  NOT NULL CHECK (revision >= 0),
    chain       bytea   NOT NULL CHECK (length(chain) = 32),
    predecessor bytea   NOT NULL CHECK (length(predecessor) = 32)
) WITH (fillfactor = 10);

CREATE TABLE log (
    revision     bigint PRIMARY KEY,
    epoch        bigint NOT NULL,
    tag          bytea  NOT NULL CHECK (length(tag) = 8),
    write_id     bytea  NOT NULL UNIQUE CHECK (length(write_id) = 16),
    predecessor  bytea  NOT NULL CHECK (length(predecessor) = 32),
    chain        bytea  NOT NULL CHECK (length(chain) = 32),
    body         bytea  NOT NULL,
    committed_at double precision NOT NULL
);

CREATE TABLE entity (
    kind text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE entity_unique (
    kind  text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    id    text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, field, value),
    FOREIGN KEY (kind, id) REFERENCES entity (kind, id)
);
CREATE INDEX entity_unique_of_entity ON entity_unique (kind, id);

CREATE TABLE entity_reference (
    kind        text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    field       text COLLATE "C" NOT NULL,
    target_kind text COLLATE "C" NOT NULL,
    target_id   text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, id, field),
    FOREIGN KEY (kind, id) REFERENCES entity (kind, id),
    FOREIGN KEY (target_kind, target_id) REFERENCES entity (kind, id)
);
CREATE INDEX entity_reference_to_target
    ON entity_reference (target_kind, target_id, kind, id);

CREATE TABLE entity_tag (
    tag  text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL,
    PRIMARY KEY (tag, kind, id),
    FOREIGN KEY (kind, id) REFERENCES entity (kind, id)
);
CREATE INDEX entity_tag_of_entity ON entity_tag (kind, id);

CREATE TABLE node (
    id         text COLLATE "C" PRIMARY KEY,
    name       text   NOT NULL,
    generation bigint NOT NULL,
    address    text   NOT NULL
);
