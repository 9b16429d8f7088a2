"""A deterministic world that runs gossip/ and store/ under failure."""
