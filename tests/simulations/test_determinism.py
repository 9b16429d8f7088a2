"""The world, like the core, depends on its seed alone."""

from pathlib import Path

import pytest

from tests.gossip.test_determinism import findings

WORLD = Path(__file__).resolve().parents[2] / "simulations"
OUTSIDE = {"__main__.py", "runner.py"}
"""They measure real time and start processes; ``mutants/`` copies files."""


@pytest.mark.parametrize(
    "path",
    sorted(p for p in WORLD.rglob("*.py") if p.name not in OUTSIDE and p.parent.name != "mutants"),
    ids=lambda p: p.name,
)
def test_the_world_depends_on_its_seed_alone(path: Path) -> None:
    assert findings(path.read_text()) == []
