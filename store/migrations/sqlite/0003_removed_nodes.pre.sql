-- Nodes that were forced out of the cluster, each up to a generation: only a later life brings the
-- node back, whatever gossip says. When (Unix seconds) decides which are forgotten first.

CREATE TABLE removed_node (
    id         TEXT    PRIMARY KEY,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    at         REAL    NOT NULL
) STRICT;
