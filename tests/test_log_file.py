"""Log files and their reopening after a rotation."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from node.log_file import LogFile, reopen_all

DAEMON = """
import os, sys
from node.log_file import reopen_all, take_standard_streams
stdout, stderr = sys.argv[1:]
take_standard_streams(stdout, stderr)
os.write(1, b"out one\\n"); os.write(2, b"err one\\n")
os.rename(stdout, stdout + ".1"); os.rename(stderr, stderr + ".1")
assert reopen_all() == []
os.write(1, b"out two\\n")
os.system("echo err two, of a child >&2")
"""


def test_a_file_is_made_with_its_folder_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    file = LogFile(str(path))
    file.write(b"one\n")
    file.close()
    assert path.read_bytes() == b"one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("zero\n")
    file = LogFile(str(path))
    file.write(b"one\n")
    file.close()
    assert path.read_text() == "zero\none\n"


def test_every_open_file_is_reopened_and_what_fails_is_said(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.log", "b.log", "c.log")]
    files = [LogFile(str(path)) for path in paths]
    files.pop().close()
    rotated = [path.rename(path.with_suffix(".1")) for path in paths]
    paths[0].mkdir()
    assert reopen_all() == [f"{paths[0]} can't be reopened: Is a directory"]
    for file in files:
        file.write(b"line\n")
        file.close()
    assert rotated[0].read_text() == "line\n", "where it fails the old file goes on"
    assert paths[1].read_text() == "line\n"
    assert not paths[2].exists(), "a closed file stays closed"


def test_closing_an_inherited_descriptor_leaves_it_open() -> None:
    file = LogFile("/dev/stderr")
    file.close()
    os.fstat(2)


def test_a_failing_write_is_the_callers_to_know() -> None:
    file = LogFile("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        file.write(b"line\n")
    file.close()


def test_a_daemons_standard_streams_rotate_too_and_its_children_have_them(tmp_path: Path) -> None:
    stdout, stderr = tmp_path / "access.log", tmp_path / "error.log"
    subprocess.run(
        [sys.executable, "-P", "-c", DAEMON, str(stdout), str(stderr)], check=True, timeout=20
    )
    contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert contents == {
        "access.log.1": "out one\n",
        "error.log.1": "err one\n",
        "access.log": "out two\n",
        "error.log": "err two, of a child\n",
    }
