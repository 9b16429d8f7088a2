"""What ``--set key=value`` changes: fields of the profile and of the link, and a scenario's own
options."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TypeVar

from gossip.profiles import LAN, PROFILES, Profile
from simulations.links import Link

Value = TypeVar("Value", int, float, str)
Bounds = tuple[float, float]

_PROFILE_FIELDS = tuple(field.name for field in fields(Profile) if field.name != "name")
_LINK_FIELDS = tuple(field.name for field in fields(Link) if field.init)

_MOST = 1e9
"""Of what has no bound of its own."""
_TINY = 0.001
_BOUNDS: dict[str, Bounds] = {
    **dict.fromkeys(
        ("burst", "spike", "duplication", "replay", "corruption", "truncation"), (0.0, 1.0)
    ),
    **dict.fromkeys(
        (
            "probe_interval", "probe_timeout", "probe_window", "push_pull_interval",
            "stream_timeout", "slice_timeout", "reconnect_interval", "join_retry_min",
            "resolve_interval",
        ),
        (_TINY, _MOST),
    ),
    "loss": (0.0, 0.99),
    "cross_zone_every": (1, _MOST),
    "nack_share": (0.0, 1.0),
    "suspicion_mult": (2, _MOST),
    "suspicion_max_mult": (1, _MOST),
    "retransmit_mult": (1, _MOST),
    "eager_fanout": (1, _MOST),
}  # fmt: skip
"""Lowest and highest value, where those aren't 0 and _MOST: what repeats must take time, what is
divided by isn't 0, a probability is one, and TCP gets through in the end."""


class SettingError(ValueError):
    """A setting that doesn't exist, or a value that it can't have."""


class Settings:
    """Texts by key. What nobody asked for by the end is an error: a misspelt key changes nothing,
    and nobody should believe that it did."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = dict(texts or {})
        self._known: dict[str, object] = {}
        """What was asked for, with its default."""
        self.progress: Callable[[int, int], None] = lambda done, total: None
        """Where a scenario of many runs says how many are done."""

    @classmethod
    def parse(cls, pairs: list[str]) -> "Settings":
        """From ``key=value`` texts. Raises SettingError for another form."""
        texts = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if not equals:
                raise SettingError(f"'{pair}' is not of the form key=value")
            texts[key.strip()] = value.strip()
        return cls(texts)

    def options(self) -> list[str]:
        """As arguments of the command line."""
        return [word for key, text in self._texts.items() for word in ("--set", f"{key}={text}")]

    def profile(self, base: Profile = LAN) -> Profile:
        """``profile`` names another base; the rest are fields of ``gossip.profiles.Profile``."""
        name = self.get("profile", base.name)
        if name != base.name and name not in PROFILES:
            raise SettingError(f"profile: '{name}' is none of {', '.join(PROFILES)}")
        base = base if name == base.name else PROFILES[name]
        changed = {key: self._field(key, getattr(base, key)) for key in _PROFILE_FIELDS}
        return replace(base, **changed)

    def link(self, base: Link | None = None) -> Link:
        """The fields of ``simulations.links.Link``."""
        base = base or Link()
        return replace(base, **{key: self._field(key, getattr(base, key)) for key in _LINK_FIELDS})

    def get(
        self, key: str, default: Value, low: float = -math.inf, high: float = math.inf
    ) -> Value:
        """One option, of the default's type. Raises SettingError when it isn't one, or a number
        that isn't from ``low`` to ``high``."""
        self._known[key] = default
        if key not in self._texts:
            return default
        return self._read(key, self._texts[key], default, low, high)

    def numbers(
        self, key: str, default: list[Value], low: float = -math.inf, high: float = math.inf
    ) -> list[Value]:
        """A list with commas between, of the type of the default's numbers."""
        self._known[key] = ",".join(f"{number:g}" for number in default)
        if key not in self._texts:
            return default
        parts = self._texts[key].split(",")
        return [self._read(key, part.strip(), default[0], low, high) for part in parts]

    def known(self) -> dict[str, object]:
        """What was asked for so far, with its default."""
        return dict(self._known)

    def check_used(self) -> None:
        """Raises SettingError naming a key that the scenario doesn't have."""
        for key in self._texts:
            if key not in self._known:
                raise SettingError(
                    f"'{key}' is no setting here{nearest(key, self._known)}; "
                    f"there are {', '.join(self._known)}"
                )

    def _field(self, key: str, default: Value) -> Value:
        return self.get(key, default, *_BOUNDS.get(key, (0.0, _MOST)))

    def _read(self, key: str, text: str, default: Value, low: float, high: float) -> Value:
        try:
            value = type(default)(text)
        except ValueError:
            kind = "a whole number" if isinstance(default, int) else "a number"
            raise SettingError(f"{key}: '{text}' is not {kind}") from None
        if not isinstance(value, str) and not low <= value <= high:
            raise SettingError(f"{key}: {text} is not {_range(low, high)}")
        return value


class Declared(Exception):
    """A scenario has asked for all its settings, and has not begun."""


class Questions(Settings):
    """Settings for finding out which there are: the scenario ends before it begins."""

    def check_used(self) -> None:
        raise Declared


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing when nothing is like it."""
    for near in get_close_matches(word.lower(), list(known), n=1, cutoff=0.6):
        return f"; did you mean '{near}'?"
    return ""


def _range(low: float, high: float) -> str:
    if high in (_MOST, math.inf):
        return f"at least {low:g}"
    return f"from {low:g} to {high:g}"
