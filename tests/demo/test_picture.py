"""The picture in README is the view as it is."""

import html
import re
from pathlib import Path

from node.demo.picture import COLUMNS, SEEN, svg

COMMITTED = Path(__file__).resolve().parent.parent.parent / "docs/images/top.svg"


def words(picture: str) -> list[str]:
    """What stands in it. How it is drawn depends on the version of rich."""
    return html.unescape(" ".join(re.findall(r">([^<>]*)</text>", picture))).split()


def test_readme_shows_the_view_as_it_is_now() -> None:
    told = "python -m node.demo.picture > docs/images/top.svg makes it anew"
    assert words(svg(SEEN)) == words(COMMITTED.read_text()), told


def test_the_picture_is_the_same_whoever_makes_it() -> None:
    assert svg(SEEN) == svg(SEEN)
    assert COLUMNS == 80
    assert "failed" in words(svg(SEEN))
