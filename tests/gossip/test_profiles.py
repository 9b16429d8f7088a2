"""The profiles, and the page that shows them."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gossip.profiles import LAN, LOCAL, PROFILES, WAN, Profile

PAGE = Path(__file__).parents[2] / "docs" / "membership.md"
SOURCE = Path(__file__).parents[2] / "gossip" / "profiles.py"
PARAMETERS = [field.name for field in fields(Profile) if field.name != "name"]


def test_profiles_go_by_their_names() -> None:
    assert {name: profile.name for name, profile in PROFILES.items()} == {
        name: name for name in ("local", "lan", "wan")
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_documentation_shows_every_parameter_as_it_is(name: str) -> None:
    row = re.search(rf"^\| `{name}` \| (.+?) \| (.+?) \| (.+?) \| (.+) \|$", PAGE.read_text(), re.M)
    assert row is not None, "docs/membership.md lacks it"
    shown = [float(value) for value in row.groups()[:3]]
    assert shown == [float(getattr(profile, name)) for profile in (LOCAL, LAN, WAN)]


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_documented_beside_its_default(name: str) -> None:
    assert re.search(rf'^    {name}: \w+ = [\d._]+\n    """', SOURCE.read_text(), re.M)
