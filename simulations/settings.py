"""What ``--set key=value`` changes: fields of the profile and of the link, and a scenario's own
options."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TypeVar

from gossip.profiles import LAN, PROFILES, Profile
from simulations.links import Link

Value = TypeVar("Value", int, float, str)

_PROFILE_FIELDS = tuple(field.name for field in fields(Profile) if field.name != "name")
_LINK_FIELDS = tuple(field.name for field in fields(Link) if field.init)


class SettingError(ValueError):
    """A setting that doesn't exist, or a value that it can't have."""


class Settings:
    """Texts by key. What nobody asked for by the end is an error: a misspelt key changes nothing,
    and nobody should believe that it did."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = dict(texts or {})
        self._known: dict[str, None] = {}

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
        changed = {key: self.get(key, getattr(base, key)) for key in _PROFILE_FIELDS}
        return replace(base, **changed)

    def link(self, base: Link | None = None) -> Link:
        """The fields of ``simulations.links.Link``."""
        base = base or Link()
        return replace(base, **{key: self.get(key, getattr(base, key)) for key in _LINK_FIELDS})

    def get(self, key: str, default: Value) -> Value:
        """One option, of the default's type. Raises SettingError when it isn't one."""
        self._known[key] = None
        if key not in self._texts:
            return default
        try:
            return type(default)(self._texts[key])
        except ValueError:
            kind = type(default).__name__
            raise SettingError(f"{key}: '{self._texts[key]}' is not of type {kind}") from None

    def numbers(self, key: str, default: list[float]) -> list[float]:
        """A list of numbers with commas between them."""
        text = self.get(key, ",".join(f"{number:g}" for number in default))
        try:
            return [float(number) for number in text.split(",")]
        except ValueError:
            raise SettingError(f"{key}: '{text}' is not a list of numbers") from None

    def check_used(self) -> None:
        """Raises SettingError naming a key that the scenario doesn't have."""
        for key in self._texts:
            if key not in self._known:
                raise SettingError(
                    f"'{key}' is no setting here; there are {', '.join(self._known)}"
                )
