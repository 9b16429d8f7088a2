-- Nodes that were forced out of the cluster, each up to a generation: only a later life brings the
-- node back, whatever gossip says. When (Unix seconds) decides which are forgotten first.

CREATE TABLE removed_node (
    id         text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL CHECK (generation >= 1),
    at         double precision NOT NULL
);
