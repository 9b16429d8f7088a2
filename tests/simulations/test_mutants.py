"""Known mistakes, made on purpose, are caught by the swarm."""

from pathlib import Path

import pytest

from simulations.mutants import MUTANTS, ROOT, Hunk, Mutant, hunt

EVERY_MUTANT = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 12
    assert all(mutant.mistake.endswith((".", ")")) for mutant in MUTANTS)


@EVERY_MUTANT
def test_every_patch_finds_its_place(mutant: Mutant, tmp_path: Path) -> None:
    for hunk in mutant.hunks:
        copy = tmp_path / hunk.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((ROOT / hunk.file).read_text())
    mutant.apply(tmp_path)
    changed = [hunk.file for hunk in mutant.hunks]
    for file in changed:
        text = (tmp_path / file).read_text()
        assert text != (ROOT / file).read_text()
        compile(text, file, "exec")


@EVERY_MUTANT
@pytest.mark.hunt
@pytest.mark.timeout(300)
def test_every_mutant_is_caught(mutant: Mutant) -> None:
    found = hunt(mutant)
    assert found.seed is not None, f"no seed catches this: {mutant.mistake}"
    assert found.error


def test_a_patch_whose_place_is_gone_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("x = 1\n", "y = 2\n"):
        with pytest.raises(ValueError, match=r"its place in a\.py was found [02] times"):
            Mutant("broken", "", (Hunk("a.py", old, ""),)).apply(tmp_path)
