"""The page of ``make bench``: what it makes of programs that print figures, fail or hang."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.__main__ import run, show, stop, table
from benchmarks.sections import SECTIONS, Figures, Row, Section

ORIGINAL_PATH = os.environ.get("PYTHONPATH", "")


def rows(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        yield Row("speed", f"{line['speed']} m/s", "4 m/s", "0.50")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that sections of this file run."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), ORIGINAL_PATH)))
    return tmp_path / "measured_here.py"


def section(seconds_max: float = 60.0) -> Section:
    return Section(
        "Speed", ("", "ours", "theirs", "ratio"), ["measured_here"], [], rows, seconds_max
    )


def test_figures_become_a_table(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.write_text("print('snail is left out: asleep')\nprint('{\"speed\": 2}')\n")
    outcome = run(section(), short=False)
    show(section(), outcome, ["measured_here"], 1.5)
    printed = capsys.readouterr().out
    assert "| speed | 2 m/s | 4 m/s  | 0.50  |\n" in printed
    assert "- snail is left out: asleep\n" in printed
    assert "Not measured" not in printed
    assert not outcome.failure


def test_a_failure_is_told_with_the_end_of_what_was_printed(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.write_text("import sys\nprint('long ago\\n' * 20)\nsys.exit('no such snail')\n")
    outcome = run(section(), short=False)
    show(section(), outcome, ["measured_here"], 1.5)
    printed = capsys.readouterr().out
    assert outcome.failure.startswith("ended with 1:")
    assert "**Not measured**: ended with 1:" in printed
    assert "no such snail" in printed


def test_a_program_without_figures_has_failed(program: Path) -> None:
    program.write_text("print('all is well')\n")
    assert run(section(), short=False).failure == "printed no figures"


def test_a_program_that_hangs_is_told(program: Path) -> None:
    program.write_text("import threading\nthreading.Event().wait()\n")
    assert run(section(seconds_max=0.2), short=False).failure == "not done after 0.2 s"


def test_a_program_is_stopped_as_by_ctrl_c_so_that_it_cleans_up() -> None:
    text = (
        "import signal, threading\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        "try:\n"
        "    print('begun', flush=True)\n"
        "    threading.Event().wait()\n"
        "except KeyboardInterrupt:\n"
        "    raise SystemExit(7)\n"
    )
    command = [sys.executable, "-c", text]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        stop(process)
        assert process.returncode == 7


def test_the_columns_of_a_table_stand_in_line() -> None:
    lines = list(table(("", "a", "b", "c"), [Row("long name", "1", "2", "3"), Row("x", "10")]))
    assert len({len(line) for line in lines}) == 1


def test_every_section_names_a_program_of_ours() -> None:
    for name, one in SECTIONS.items():
        assert one.arguments[0] == one.short[0], name
        assert one.arguments[0].startswith("benchmarks."), name
