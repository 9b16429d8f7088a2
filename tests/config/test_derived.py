"""Where a node keeps its files when nobody says."""

from pathlib import Path

import pytest

from node.config import derived

UNWRITABLE = Path("/absent/lib/grapevine")


def test_the_systems_folder_is_taken_when_it_can_be_made(tmp_path: Path) -> None:
    assert derived.prefix({}, system=tmp_path / "grapevine") == tmp_path / "grapevine"


@pytest.mark.parametrize(
    ("environ", "prefix"),
    [
        ({"HOME": "/home/kong"}, "/home/kong/.local/state/grapevine"),
        ({"HOME": "/home/kong", "XDG_STATE_HOME": "/state"}, "/state/grapevine"),
        ({"HOME": "/home/kong", "XDG_STATE_HOME": "rel"}, "/home/kong/.local/state/grapevine"),
    ],
)
def test_else_the_users_own(environ: dict[str, str], prefix: str) -> None:
    assert derived.prefix(environ, system=UNWRITABLE) == Path(prefix)


def test_without_a_home_it_must_be_named() -> None:
    with pytest.raises(ValueError, match="HOME is unset; set prefix to a directory"):
        derived.prefix({}, system=UNWRITABLE)
