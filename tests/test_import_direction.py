"""Imports go downhill (DESIGN 2): node and simulations above, store and gossip on the ground."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "gossip": {"gossip"},
    "store": {"store"},
    "node": {"node", "store", "gossip"},
    "simulations": {"simulations", "node", "store", "gossip"},
}
OURS = {*ALLOWED, "tests", "benchmarks"}


def imported_packages(source: str) -> set[str]:
    """Top-level names of every import in a module, wherever it stands in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_go_downhill(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package}/ holds no module"
    for file in files:
        uphill = (imported_packages(file.read_text()) & OURS) - ALLOWED[package]
        assert not uphill, f"{file.relative_to(ROOT)} imports {sorted(uphill)}"


def test_only_whole_and_real_nodes_of_simulations_know_the_node() -> None:
    """What whole ones run of it is sans-IO, or asyncio on a loop of virtual time."""
    for file in sorted((ROOT / "simulations").rglob("*.py")):
        inside = {"whole", "real"} & set(file.relative_to(ROOT).parts)
        assert inside or "node" not in imported_packages(file.read_text()), file


def test_an_uphill_import_is_seen_wherever_it_stands() -> None:
    source = "def f() -> None:\n    from node.cli import main\n    import store.version\n"
    assert imported_packages(source) == {"node", "store"}
