"""One gateway node: configuration, command line, agent, Admin API and proxy."""
