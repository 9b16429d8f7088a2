"""The supervisor of a node: gossip, authority, replica, worker processes and their life cycle."""
