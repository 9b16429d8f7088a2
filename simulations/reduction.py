"""Less of what a seed chose: some of its operations, of its nodes, of its odd settings.

A plan is made smaller by leaving things out of it, which leaves a valid one (``operations``). What
is left is said in settings, so a line replays it: ``--set keep=3,7-9 --set odd=loss``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from gossip.profiles import LAN, Profile
from simulations.links import Link
from simulations.settings import SettingError, Settings
from simulations.software import FIRST
from simulations.swarm import Plan

ALL, NONE = "all", "none"
_SEEDS = 3
"""The first so many nodes are where newcomers look: one of them must be in the core."""
_PROFILE = tuple(field.name for field in fields(Profile) if field.name != "name")
_LINK = tuple(field.name for field in fields(Link) if field.init)
_REST = ("keyring", "skewed", "software")


@dataclass(frozen=True)
class Reduction:
    """What is left of a plan; None is all of it."""

    keep: tuple[int, ...] | None = None
    """Its operations, by their places."""
    members: tuple[int, ...] | None = None
    """Nodes that start by themselves, by index."""
    odd: tuple[str, ...] | None = None
    """What isn't as usual: fields of the profile and the link, ``keyring``, ``skewed``,
    ``software``."""
    ends: float = 0.0
    """When the faults end; 0 leaves that as it is."""

    @classmethod
    def of(cls, settings: Settings) -> "Reduction":
        """As the settings say. Raises SettingError."""
        keep, members = settings.get("keep", ALL), settings.get("members", ALL)
        odd, ends = settings.get("odd", ALL), settings.get("ends", 0.0, 0.0)
        return cls(
            None if keep == ALL else tuple(_read_numbers("keep", keep)),
            None if members == ALL else tuple(_read_numbers("members", members)),
            None if odd == ALL else tuple(() if odd == NONE else odd.split(",")),
            ends,
        )

    def settings(self) -> tuple[str, ...]:
        """What says this on a command line."""
        texts = []
        if self.keep is not None:
            texts.append(f"keep={_show_numbers(self.keep)}")
        if self.members is not None:
            texts.append(f"members={_show_numbers(self.members)}")
        if self.odd is not None:
            texts.append(f"odd={','.join(self.odd) or NONE}")
        if self.ends:
            texts.append(f"ends={self.ends:g}")
        return tuple(texts)

    def apply(self, plan: Plan) -> Plan:
        """What is left. Raises SettingError where the plan has nothing of that name or number."""
        if self.keep is not None:
            _check("keep", self.keep, range(len(plan.operations)))
            plan = replace(plan, operations=[plan.operations[place] for place in self.keep])
        if self.members is not None:
            _check("members", self.members, range(plan.nodes))
            core = [index for index in plan.core if index in self.members]
            if not core or min(core) >= _SEEDS:
                raise SettingError(f"members: none of the core's first {_SEEDS} nodes is left")
            plan = replace(plan, members=self.members, core=core)
        if self.odd is not None:
            _check("odd", self.odd, (*_PROFILE, *_LINK, *_REST))
            plan = _usual(plan, self.odd)
        return replace(plan, seconds=self.ends) if self.ends else plan


def oddities(plan: Plan) -> tuple[str, ...]:
    """What isn't as usual in a plan."""
    profile = [name for name in _PROFILE if getattr(plan.profile, name) != getattr(LAN, name)]
    link = [name for name in _LINK if getattr(plan.link, name) != getattr(Link(), name)]
    rest = {
        "keyring": plan.keyring is not None,
        "skewed": plan.skewed,
        "software": any(one is not FIRST for one in plan.software),
    }
    return (*profile, *link, *(name for name in _REST if rest[name]))


def _usual(plan: Plan, odd: Iterable[str]) -> Plan:
    kept = [*odd]
    return replace(
        plan,
        profile=replace(LAN, **{n: getattr(plan.profile, n) for n in kept if n in _PROFILE}),
        link=replace(Link(), **{n: getattr(plan.link, n) for n in kept if n in _LINK}),
        keyring=plan.keyring if "keyring" in kept else None,
        skewed=plan.skewed and "skewed" in kept,
        software=plan.software if "software" in kept else [FIRST] * plan.nodes,
    )


def _check(key: str, named: Iterable[object], known: Iterable[object]) -> None:
    there_are = [*known]
    for one in named:
        if one not in there_are:
            raise SettingError(f"{key}: {one} isn't there")


def _read_numbers(key: str, text: str) -> Iterable[int]:
    """``3,7-9``."""
    for part in () if text == NONE else text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise SettingError(f"{key}: '{part}' is neither a number nor two with a dash")
        yield from range(int(first), int(last if dash else first) + 1)


def _show_numbers(numbers: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    shown = (f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
    return ",".join(shown) or NONE
