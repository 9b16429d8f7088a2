"""What is run for a page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """Sizes. The seed is the first of each batch."""

    seed: int = 1
    seeds: int = 60
    """Of swarm runs."""
    nodes: int = 100
    """Of the large cluster in which changes spread."""
    changesets: int = 20
    """That spread there."""
    alarms: int = 30
    """Clusters in which failures are found."""
    jobs: int = 1
