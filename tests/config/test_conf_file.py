"""The syntax of kong.conf: what a file's bytes mean, and what is reported of a broken one."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import conf_file
from node.config.limits import ENTRIES_MAX, FILE_BYTES_MAX, LINE_BYTES_MAX


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("key = value", "value"),
        ("key=value", "value"),
        ("  key =  two words  ", "two words"),
        ("key = value # comment", "value"),
        ("key = value#comment", "value"),
        (r"key = one\#two", "one#two"),
        (r"key = one\#two # three", "one#two"),
        ('key = "quoted"', "quoted"),
        ("key = 'quoted'", "quoted"),
        ('key = "a # b" # c', "a # b"),
        ('key = "a" # "b"', "a"),
        ('key = "a"b"', 'a"b'),
        ('key = say "hi"', 'say "hi"'),
        ("key = it's # c", "it's"),
        ('key = "open', '"open'),
        ("key = a=b", "a=b"),
        ("key =", ""),
        ("key = # nothing", ""),
        ("key = a, b, c", "a, b, c"),
    ],
)
def test_a_line_means_what_it_means_in_kong(line: str, value: str) -> None:
    assert conf_file.parse(line.encode()) == (((("key", value, 1)),), ())


@pytest.mark.parametrize("line", ["", "   ", "# comment", "  # comment", "; comment", "#key = 1"])
def test_blank_lines_and_comments_say_nothing(line: str) -> None:
    assert conf_file.parse(line.encode()) == ((), ())


def test_lines_are_numbered_from_one_whatever_their_endings() -> None:
    parsed = conf_file.parse(b"\xef\xbb\xbfa = 1\r\n\r\nb = 2\n")
    assert parsed.entries == (("a", "1", 1), ("b", "2", 3))


def test_a_backslash_at_the_end_joins_the_next_line() -> None:
    parsed = conf_file.parse(b"a = 1, \\\n    2\nb = 3\n")
    assert [(key, value.split(), line) for key, value, line in parsed.entries] == [
        ("a", ["1,", "2"], 1),
        ("b", ["3"], 3),
    ]


def test_a_comment_that_ends_in_a_backslash_joins_nothing() -> None:
    assert conf_file.parse(b"# c:\\\nb = 3\n").entries == (("b", "3", 2),)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a = 1\nnonsense\n", "2: 'nonsense': has no `=` after it"),
        (b"pg_password hunter2", "1: 'pg_password': has no `=` after it; write"),
        (b"[section]\n", "1: '[section]': sections aren't known"),
        (b"a b = 1", "1: 'a b': is no key"),
        (b"= 1", "1: '': is no key"),
        (b"a = \xff", "1: is no UTF-8 at byte 5 (0xff); save it as UTF-8"),
        (b"a = \0", "1: holds a NUL byte; is it a text file?"),
        (b"a = " + b"x" * LINE_BYTES_MAX, f"1: a line of {LINE_BYTES_MAX + 4} bytes"),
        (b"a = 1\n" * (ENTRIES_MAX + 1), f"{ENTRIES_MAX + 1}: more than {ENTRIES_MAX} keys"),
    ],
)
def test_what_is_no_entry_is_reported_with_its_line(content: bytes, problem: str) -> None:
    assert conf_file.parse(content).problems[0].startswith(problem)


def test_a_broken_line_hides_no_other() -> None:
    parsed = conf_file.parse(b"a = 1\nbroken\nb = 2\n\xff\nc = 3")
    assert [entry.key for entry in parsed.entries] == ["a", "b", "c"]
    assert len(parsed.problems) == 2


@given(st.binary(max_size=300))
def test_no_bytes_raise(content: bytes) -> None:
    parsed = conf_file.parse(content)
    assert all("\n" not in entry.value and "\0" not in entry.value for entry in parsed.entries)


def test_a_file_that_is_missing_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.conf: can't be read: No such file"):
        conf_file.read(str(tmp_path / "absent.conf"))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a directory; name a file in it"):
        conf_file.read(str(tmp_path))


def test_a_pipe_will_do() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "wb") as pipe:
        pipe.write(b"a = 1")
        pipe.close()
        assert conf_file.read(f"/dev/fd/{reading}") == b"a = 1"


def test_a_file_too_long_to_be_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.conf"
    path.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(ValueError, match="is it the right file"):
        conf_file.read(str(path))


def test_the_first_file_that_exists_is_taken(tmp_path: Path) -> None:
    second, third = tmp_path / "second", tmp_path / "third"
    second.touch()
    third.touch()
    searched = (str(tmp_path / "first"), str(second), str(third))
    assert conf_file.find(searched) == str(second)
    assert conf_file.find(searched[:1]) is None


def test_files_are_searched_in_the_order_that_the_contract_names() -> None:
    assert conf_file.SEARCHED_PATHS == (
        "grapevine.conf",
        "/etc/grapevine/grapevine.conf",
        "/etc/kong/kong.conf",
        "/etc/kong.conf",
    )
