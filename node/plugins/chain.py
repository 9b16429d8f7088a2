"""The plugins that run for a request, in their order, by phase."""

from collections.abc import Callable
from typing import Any, NamedTuple

from node.plugins.interface import PHASES, Plugin

Rank = tuple[float, str]
"""Priority and name: the greater one runs first; Kong breaks ties by the name, last one first."""


class Configured:
    """A plugin with a configuration."""

    __slots__ = ("name", "plugin", "problem", "rank")

    def __init__(self, name: str, rank: Rank, plugin: Plugin, problem: str = "") -> None:
        self.name = name
        self.rank = rank
        self.plugin = plugin
        self.problem = problem
        """Why it can't be run; empty: it can."""


class Step(NamedTuple):
    """One phase of one plugin."""

    call: Callable[..., Any]
    plugin: str
    rank: Rank


class Chain:
    """What runs, taken apart by phase once, so that a phase that nobody defines costs nothing."""

    __slots__ = (
        "access",
        "body_filter",
        "configured",
        "header_filter",
        "is_for_all",
        "log",
        "rewrite",
    )

    rewrite: tuple[Step, ...]
    access: tuple[Step, ...]
    header_filter: tuple[Step, ...]
    body_filter: tuple[Step, ...]
    log: tuple[Step, ...]

    def __init__(self, configured: tuple[Configured, ...], is_for_all: bool = False) -> None:
        self.configured = configured
        self.is_for_all = is_for_all
        """It is the same whoever asks."""
        for phase in PHASES:
            steps = tuple(
                Step(call, each.name, each.rank)
                for each in configured
                if (call := getattr(each.plugin, phase, None)) is not None
            )
            setattr(self, phase, steps)

    def turned(self, after: Rank, other: "Chain") -> "Chain":
        """This one up to a plugin, then the other one: it has become known who asks."""
        return Chain(
            (
                *(each for each in self.configured if each.rank >= after),
                *(each for each in other.configured if each.rank < after),
            )
        )


NOTHING = Chain(())
