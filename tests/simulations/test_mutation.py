"""Small mistakes: which a source has room for, and that what notices them is run."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulations.__main__ import main
from simulations.mutants import ROOT
from simulations.mutation import hunt as hunting
from simulations.mutation.hunt import Place, Reach, hunt, places
from simulations.mutation.operators import Mutation, mutations
from simulations.mutation.subjects import SUBJECTS, Subject


def mistakes(source: str) -> list[str]:
    return sorted(one.apply(source).strip() for one in mutations(source))


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("a < b", ["(a <= b)", "(a >= b)"]),
        ("a == b", ["(a != b)"]),
        ("a is None", ["(a is not None)"]),
        ("x = a and b", ["x = (a or b)"]),
        ("x = not a", ["x = a"]),
        ("x = a + b", ["x = (a - b)"]),
        ("x = 3", ["x = 2", "x = 4"]),
        ("x = 0", ["x = 1"]),
        ("x = True", ["x = False"]),
        ("x = 1.5", ["x = 3.0"]),
        ("x = min(a, b)", ["x = max(a, b)"]),
        ("f(a)", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a += b", ["pass"]),
        ("del a[b]", ["pass"]),
        ("if a:\n    b()", ["if (not a):\n    b()", "if a:\n    pass"]),
        ("a if b.c else d", ["a if (not b.c) else d"]),
        ("x: int = 1", ["x: int = 0", "x: int = 2"]),
        ("def f(a: int = 0) -> None: ...", ["def f(a: int = 1) -> None: ..."]),
    ],
)
def test_a_source_has_room_for_these_mistakes(source: str, made: list[str]) -> None:
    assert mistakes(source) == made


@pytest.mark.parametrize(
    "source",
    [
        '"""1 < 2"""',
        "assert a < 1, 'less'",
        "raise ValueError(f'{a + 1}')",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a",
        "self._counters.add('stale', 1)",
        "x = f'{a + 1}'",
    ],
)
def test_what_says_nothing_about_behaviour_is_left_alone(source: str) -> None:
    assert mutations(source) == []


def test_the_rest_of_a_file_stays_as_it_is() -> None:
    source = "# ä comment\nx = 'ö'\nif a <= 2:  # why\n    b(1)\n"
    for one in mutations(source):
        changed = one.apply(source)
        assert changed != source
        assert changed.splitlines()[:2] == source.splitlines()[:2]
        compile(changed, "x", "exec")
    shown = [one.shown(source) for one in mutations(source) if one.operator == "boundary"]
    assert shown == ["a <= 2  →  (a < 2)"]


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_every_module_of_a_subject_is_there_and_each_mistake_compiles(name: str) -> None:
    subject = SUBJECTS[name]
    assert all((ROOT / test).exists() for test in subject.tests)
    for module in subject.modules:
        source = (ROOT / module).read_text()
        found = mutations(source)
        assert len(found) > 5, module
        for one in found:
            compile(one.apply(source), module, "exec")


def test_a_sample_is_drawn_by_its_seed() -> None:
    modules = SUBJECTS["history"].modules
    every = places(modules, None, 1)
    drawn = places(modules, 20, 1)
    assert len(drawn) == 20
    assert drawn == places(modules, 20, 1)
    assert drawn != places(modules, 20, 2)
    assert [place for place in every if place in drawn] == drawn


def test_the_quickest_tests_that_come_by_a_line_are_run() -> None:
    text = json.dumps({
        "slow": {"passed": True, "seconds": 5.0, "lines": [["m.py", 1], ["m.py", 7]]},
        "quick": {"passed": True, "seconds": 0.1, "lines": [["m.py", 1]]},
        "broken": {"passed": False, "seconds": 0.1, "lines": [["m.py", 1]]},
        "other": {"passed": True, "seconds": 0.2, "lines": [["n.py", 1]]},
    })  # fmt: skip
    reach = Reach.read(text)

    def chosen(line: int, seconds: float) -> list[str]:
        return reach.tests(Place("m.py", Mutation(line, "x", 0, 0, ""), ""), seconds)

    assert chosen(1, 10.0) == ["quick", "slow"]
    assert chosen(1, 1.0) == ["quick"]
    assert chosen(7, 1.0) == ["slow"], "one at least"
    # Of a line that is only come by on import, all that come by the module.
    assert chosen(3, 10.0) == ["quick", "slow"]


RULE = """\
def may(age: int) -> bool:
    return age >= 18


def drain(items: list[int]) -> int:
    while items:
        items.pop()
    return len(items)
"""
TESTS = """\
from lib.rule import drain, may


def test_who_is_of_age_may() -> None:
    assert may(30)
    assert not may(3)


def test_it_drains() -> None:
    assert drain([1, 2]) == len([])


def test_that_fails_anyway() -> None:
    raise AssertionError
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one, with a test missing."""
    for name, text in {"lib/rule.py": RULE, "lib/__init__.py": "", "tests/test_rule.py": TESTS,
                       "pyproject.toml": ""}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copytree(ROOT / "simulations" / "mutation", tmp_path / "simulations" / "mutation")
    (tmp_path / "simulations" / "__init__.py").write_text("")
    (tmp_path / "simulations" / "mutation" / "__init__.py").write_text("")
    monkeypatch.setattr(hunting, "ROOT", tmp_path)
    monkeypatch.setattr(hunting, "_COPIED", ("lib", "tests", "simulations", "pyproject.toml"))
    monkeypatch.setattr(hunting, "_SPARE_SECONDS", 8)
    monkeypatch.setattr(hunting, "subject_of", lambda module: SUBJECT)


SUBJECT = Subject(("lib/rule.py",), ("tests/test_rule.py",), ())


@pytest.mark.usefixtures("project")
@pytest.mark.hunt
@pytest.mark.timeout(600)
def test_what_no_test_looks_at_survives_and_the_rest_is_noticed() -> None:
    told: list[str] = []
    fates = [*hunt(["lib/rule.py"], None, 1, 1, 10.0, told.append)]
    survived = [fate.place.shown for fate in fates if not fate.killed_by]
    # Nobody is 18, or 17.
    assert survived == ["age >= 18  →  (age > 18)", "18  →  17", "18  →  19"]
    killed = {fate.place.shown: fate.killed_by for fate in fates if fate.killed_by}
    assert killed["age >= 18  →  (age < 18)"].endswith("::test_who_is_of_age_may")
    assert killed["items.pop()  →  pass"] == "no end"
    assert told[1].startswith("2 tests pass")


def test_a_module_that_no_subject_has_is_a_usage_error() -> None:
    outcome = CliRunner().invoke(main, ["mutate", "gossip/member"])
    assert outcome.exit_code == 2
    assert "did you mean 'gossip/member" in " ".join(outcome.output.split())
