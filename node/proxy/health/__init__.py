"""The health of upstreams' targets: what is counted, and what follows from it."""
