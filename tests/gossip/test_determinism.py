"""The core must give the same answers to the same questions (DESIGN 2): no clock, no entropy, no
event loop, no order that depends on a hash."""

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "gossip"
OUTSIDE = {
    "transport.py",
    "outgoing.py",
    "datagrams.py",
    "knocks.py",
    "sockets.py",
    "seal.py",
    "keyring.py",
}
"""The asyncio side, and cryptography: it draws nothing itself, but isn't checked."""
FORBIDDEN_MODULES = {"time", "datetime", "asyncio", "threading", "uuid", "secrets", "os", "socket"}


def findings(source: str) -> list[str]:
    """What a module does that depends on more than its arguments."""
    tree = ast.parse(source)
    found: list[str] = []
    sets = _set_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
            found += [f"import {name}" for name in names if name in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").partition(".")[0]
            if module in FORBIDDEN_MODULES or module == "random":
                found.append(f"from {module}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "random" and node.attr != "Random":
                found.append(f"random.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("hash", "id"):
                found.append(f"{node.func.id}()")
            elif node.func.id in ("list", "tuple", "iter", "next", "min", "max", "enumerate"):
                found += [
                    f"order of a set in {node.func.id}()" for a in node.args if _is_set(a, sets)
                ]
        elif isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter, sets):
            found.append("iteration over a set")
    return found


def _set_names(tree: ast.AST) -> set[str]:
    """Names and attributes that are annotated as, or assigned, a set."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            if ast.unparse(node.annotation).startswith(("set[", "frozenset[")):
                names.add(ast.unparse(node.target))
        elif isinstance(node, ast.Assign) and _is_set(node.value, set()):
            names.update(ast.unparse(target) for target in node.targets)
    return names


def _is_set(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("set", "frozenset")
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in names


@pytest.mark.parametrize(
    "path", [p for p in sorted(CORE.glob("*.py")) if p.name not in OUTSIDE], ids=lambda p: p.name
)
def test_the_core_depends_on_its_inputs_alone(path: Path) -> None:
    assert findings(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os.path",
        "from asyncio import sleep",
        "from random import choice",
        "import random\nrandom.choice([1])",
        "hash('x')",
        "for x in {1, 2}: pass",
        "[x for x in set(y)]",
        "self.a: set[int] = z\nfor x in self.a: pass",
        "a = set(z)\nlist(a)",
    ],
)
def test_what_would_break_it_is_found(source: str) -> None:
    assert findings(source)


def test_a_handed_in_random_is_fine() -> None:
    assert findings("import random\ndef f(rng: random.Random): return rng.random()") == []
