-- The keys of the cluster's gossip after the first change to them, wrapped by the node that made it:
-- a register, of which the greater (counter, author, tag) holds. Until then there is no row, and
-- authority.cluster_key or the nodes' configuration has the only key.

CREATE TABLE keyring (
    singleton integer PRIMARY KEY CHECK (singleton = 1),
    counter   bigint  NOT NULL CHECK (counter >= 1),
    author    text    NOT NULL,
    tag       bytea   NOT NULL CHECK (length(tag) = 8),
    wrapped   bytea   NOT NULL CHECK (length(wrapped) BETWEEN 1 AND 65536)
);
