"""The log: one line an event, whatever is in it."""

import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import logs
from node.logs import Repeated, escape

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """The log goes back to stderr after each test."""
    root = logging.getLogger().level
    yield
    logs.configure("notice", "/dev/stderr")
    logging.getLogger().setLevel(root)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "error.log"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_line_is_time_level_component_message_and_fields(path: Path) -> None:
    logs.configure("notice", str(path))
    logs.get("cluster").notice("member joined", name="gw2", rtt=0.00123456789, seeds=("a", "b"))
    (line,) = lines(path)
    fields = r"""name=gw2 rtt=0\.00123457 seeds="\('a', 'b'\)\""""
    assert re.fullmatch(rf"{STAMP} notice cluster member joined {fields}", line)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("", '""'),
        ('say "hi"', r'"say \"hi\""'),
        ("a=b", '"a=b"'),
        (b"\x00\xff", "00ff"),
        (None, "None"),
        (7, "7"),
        ("line\nforged", r'"line\nforged"'),
        ("\x1b[2J", r"\x1b[2J"),
        ("\u202eevil", r"\u202eevil"),
        ("\udcff", r"\udcff"),
    ],
)
def test_a_fields_value_stays_one_word(value: object, shown: str, path: Path) -> None:
    logs.configure("notice", str(path))
    logs.get("x").error("m", key=value)
    (line,) = lines(path)
    assert line.endswith(f" error x m key={shown}")


@given(st.text())
def test_no_text_makes_a_second_line(text: str) -> None:
    assert len(escape(text).splitlines()) <= 1
    escape(text).encode()


def test_signs_of_formatting_in_a_message_are_text(path: Path) -> None:
    logs.configure("notice", str(path))
    logs.get("x").error("100 % of %s {}")
    assert lines(path)[0].endswith("100 % of %s {}")


def test_a_traceback_rides_in_its_line(path: Path) -> None:
    logs.configure("notice", str(path))
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logs.get("x").exception("failed")
    (line,) = lines(path)
    assert "RuntimeError: boom" in line
    assert r"\n" in line


def test_a_line_is_bounded_and_says_what_was_cut(path: Path) -> None:
    logs.configure("notice", str(path))
    logs.get("x").error("y" * 100_000)
    (line,) = lines(path)
    assert len(line) < 17_000
    assert re.search(r"… cut=8\d{4}$", line)


@pytest.mark.parametrize("level", list(logs.LEVELS))
def test_only_lines_of_the_level_and_above_are_written(level: str, path: Path) -> None:
    logs.configure(level, str(path))
    for number in logs.LEVELS.values():
        logs.get("x").log(number, "m")
    names = list(logs.LEVELS)
    assert [line.split()[1] for line in lines(path)] == names[names.index(level) :]


def test_every_level_has_a_method(path: Path) -> None:
    logs.configure("debug", str(path))
    log = logs.get("x")
    for method in (log.debug, log.info, log.notice, log.warning, log.error):
        method("m")
    for method in (log.critical, log.alert, log.emergency):
        method("m")
    assert [line.split()[1] for line in lines(path)] == list(logs.LEVELS)


def test_libraries_lines_have_the_same_form(path: Path) -> None:
    logs.configure("warn", str(path))
    logging.getLogger("asyncio").warning("slow: %s", "x")
    logging.getLogger("asyncio").info("not this")
    assert [line.split(" ", 1)[1] for line in lines(path)] == ["warn asyncio slow: x"]


def test_libraries_debug_lines_are_left_out(path: Path) -> None:
    logs.configure("debug", str(path))
    logging.getLogger("aiosqlite").debug("executing INSERT with hunter2")
    logging.getLogger("aiosqlite").info("this")
    assert [line.split(" ", 1)[1] for line in lines(path)] == ["info aiosqlite this"]


class TestApart:
    def test_a_components_lines_go_elsewhere_and_the_others_stay(
        self, path: Path, tmp_path: Path
    ) -> None:
        logs.configure("notice", str(path))
        with logs.apart("admin", str(tmp_path / "admin.log")):
            logs.get("admin").error("one")
            logs.get("admin.http").error("two")
            logs.get("node").error("three")
        logs.get("admin").error("four")
        assert [line.split()[-1] for line in lines(tmp_path / "admin.log")] == ["one", "two"]
        assert [line.split()[-1] for line in lines(path)] == ["three", "four"]

    def test_off_silences_it(self, path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        logs.configure("notice", str(path))
        with logs.apart("admin", "off"):
            logs.get("admin").emergency("m")
        assert lines(path) == []
        assert capfd.readouterr() == ("", "")

    def test_it_is_reopened_with_the_rest(self, path: Path, tmp_path: Path) -> None:
        logs.configure("notice", str(path))
        apart = tmp_path / "admin.log"
        with logs.apart("admin", str(apart)):
            apart.rename(tmp_path / "admin.log.1")
            logs.reopen()
            logs.get("admin").error("here")
        assert [line.split()[-1] for line in lines(apart)] == ["here"]


def test_the_file_and_its_folder_are_the_owners_alone(path: Path) -> None:
    logs.configure("notice", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_rotated_file_is_left_after_reopening(path: Path) -> None:
    logs.configure("notice", str(path))
    log = logs.get("x")
    log.error("one")
    rotated = path.rename(path.with_suffix(".1"))
    log.error("two")
    logs.reopen()
    log.error("three")
    assert [line.split()[-1] for line in lines(rotated)] == ["one", "two"]
    assert [line.split()[-1] for line in lines(path)] == ["three"]


def test_when_reopening_fails_the_old_file_goes_on(path: Path) -> None:
    logs.configure("notice", str(path))
    rotated = path.rename(path.with_suffix(".1"))
    path.mkdir()
    logs.reopen()
    logs.get("x").error("still here")
    told, line = lines(rotated)
    assert told.endswith(f"error logs {path} can't be reopened: Is a directory")
    assert line.endswith("still here")


def test_a_destination_that_cant_be_opened_leaves_the_old_one(path: Path) -> None:
    logs.configure("notice", str(path))
    with pytest.raises(OSError, match="File exists"):
        logs.configure("notice", str(path / "below-a-file"))
    logs.get("x").error("still here")
    assert lines(path)[0].endswith("still here")


def test_off_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "off")
    logs.get("x").emergency("m")
    logs.reopen()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stream", ["out", "err"])
def test_dev_stdout_and_stderr_are_the_inherited_descriptors(
    stream: str, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure("notice", f"/dev/std{stream}")
    logs.get("x").notice("here")
    logs.reopen()
    logs.get("x").notice("still")
    written = getattr(capfd.readouterr(), stream)
    assert [line.split()[-1] for line in written.splitlines()] == ["here", "still"]


def test_lines_that_could_not_be_written_are_counted() -> None:
    handler = logs.FileHandler("/dev/full")
    record = logging.LogRecord("grapevine.x", logging.ERROR, "", 0, "m", (), None)
    for _ in range(3):
        handler.handle(record)
    assert handler.lost == 3
    handler.close()


def test_the_count_of_lost_lines_is_told_with_the_next(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    handler = logs.FileHandler(str(path))
    record = logging.LogRecord("grapevine.x", logging.ERROR, "", 0, "m", (), None)
    handler.handle(record)
    handler.handle(record)
    path.unlink()
    handler.file.reopen()
    handler.handle(record)
    handler.handle(record)
    handler.close()
    assert [line.partition(" m")[2] for line in lines(path)] == [" lines_lost=2", ""]
    assert os.path.getsize("/dev/full") == 0


class TestRepeated:
    def test_a_line_comes_once_an_interval_with_the_count_of_the_rest(self) -> None:
        repeated = Repeated(interval=60)
        outcomes = [repeated.admit("wrong key", now) for now in (0, 1, 59.9, 60, 61, 130)]
        assert outcomes == [0, None, None, 2, None, 1]

    def test_keys_dont_hold_each_other_back(self) -> None:
        repeated = Repeated()
        assert [repeated.admit(key, 0) for key in ("a", "b", "a")] == [0, 0, None]

    def test_lines_are_bounded_whatever_the_number_of_keys_and_nothing_is_lost(self) -> None:
        repeated = Repeated(interval=60, keys_max=10)
        outcomes = [repeated.admit(f"source {number}", number / 1000) for number in range(1000)]
        admitted = [held for held in outcomes if held is not None]
        assert len(admitted) == 10
        assert repeated.admit("later", 100) == 990

    def test_the_oldest_key_gives_way_and_its_count_goes_over(self) -> None:
        repeated = Repeated(interval=60, keys_max=1)
        repeated.admit("a", 0)
        repeated.admit("a", 1)
        assert repeated.admit("b", 60) == 1
