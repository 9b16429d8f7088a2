"""The world, like the core, depends on its seed alone."""

from pathlib import Path

import pytest

from tests.gossip.test_determinism import findings

WORLD = Path(__file__).resolve().parents[2] / "simulations"
OUTSIDE = {"__main__.py", "commands", "runner.py", "shrinking.py", "mutants", "mutation", "real"}
"""Files and folders that measure real time, start processes or copy files."""

IN_VIRTUAL_TIME = ("import asyncio", "from asyncio", "import uuid")
"""Under ``authority``, where engines run on a loop of the world's clock, and ids are drawn bits."""


@pytest.mark.parametrize(
    "path",
    sorted(p for p in WORLD.rglob("*.py") if OUTSIDE.isdisjoint(p.relative_to(WORLD).parts)),
    ids=lambda p: p.name,
)
def test_the_world_depends_on_its_seed_alone(path: Path) -> None:
    text = path.read_text()
    allowed = IN_VIRTUAL_TIME if "authority" in path.relative_to(WORLD).as_posix() else ()
    assert [found for found in findings(text) if found not in allowed] == []
    assert "uuid4" not in text
