"""Names of form fields, and multipart bodies."""

from typing import Any

import pytest

from node.admin.errors import Refusal
from node.admin.form import nest
from node.admin.limits import (
    BODY_DEPTH_MAX,
    FORM_NAME_CHARS_MAX,
    PART_HEAD_BYTES_MAX,
    PARTS_MAX,
)
from node.admin.multipart import decode_multipart

TYPE = "multipart/form-data; boundary=b0"


def part(name: str, content: str, extra: str = "") -> str:
    return f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n{extra}\r\n{content}\r\n'


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a", "1")], {"a": "1"}),
        ([("a.b.c", "1"), ("a.d", "2")], {"a": {"b": {"c": "1"}, "d": "2"}}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        ([("a[2]", "2"), ("a[1]", "1")], {"a": ["1", "2"]}),
        ([("a[999999999]", "1")], {"a": ["1"]}),
        ([("a", "1"), ("a", "2"), ("a", "3")], {"a": ["1", "2", "3"]}),
        ([("a[x-y]", "1")], {"a": {"x-y": "1"}}),
        (
            [("a[1].b", "1"), ("a[1].c", "2"), ("a[2].b", "3")],
            {"a": [{"b": "1", "c": "2"}, {"b": "3"}]},
        ),
        ([("a.b[]", "1"), ("a.b[]", "2")], {"a": {"b": ["1", "2"]}}),
        ([("", "1")], {"": "1"}),
        ([(".", "1")], {".": "1"}),
        ([("a[", "1")], {"a[": "1"}),
        ([("a..b", "1")], {"a..b": "1"}),
    ],
)
def test_names_nest(pairs: list[tuple[str, str]], expected: dict[str, Any]) -> None:
    assert nest(pairs) == expected


@pytest.mark.parametrize(
    "names",
    [["a", "a.b"], ["a.b", "a"][::-1], ["a[]", "a.b"], ["a.b", "a[1]"], ["a[1]", "a[1]"]],
)
def test_names_that_contradict_each_other_are_refused(names: list[str]) -> None:
    with pytest.raises(Refusal, match="contradicts another field") as refused:
        nest([(name, "1") for name in names])
    assert refused.value.status == 400


def test_a_name_nested_too_deep_is_refused() -> None:
    with pytest.raises(Refusal, match=f"nested deeper than {BODY_DEPTH_MAX} levels"):
        nest([("a" + ".b" * BODY_DEPTH_MAX, "1")])


def test_an_overlong_name_is_refused_and_cut_in_the_message() -> None:
    with pytest.raises(Refusal, match="has a name longer than") as refused:
        nest([("a" * (FORM_NAME_CHARS_MAX + 1), "1")])
    assert len(refused.value.text) < 150


def test_multipart_fields_files_and_json() -> None:
    body = (
        part("host", "h.test")
        + part("note", "line 1\r\nline 2", "X-Other: 1\r\n")
        + part("cert", "PEM", "Content-Type: application/octet-stream\r\n").replace(
            'name="cert"', 'name="cert"; filename="c.pem"'
        )
        + part("tags", '["a","b"]', "Content-Type: application/json\r\n")
        + part("a.b", "")
        + "--b0--\r\n"
    )
    assert decode_multipart(body.encode(), TYPE) == {
        "host": "h.test",
        "note": "line 1\r\nline 2",
        "cert": "PEM",
        "tags": ["a", "b"],
        "a": {"b": ""},
    }


def test_as_many_parts_as_are_allowed_are_read() -> None:
    body = part("a[]", "1") * PARTS_MAX + "--b0--"
    assert decode_multipart(body.encode(), TYPE) == {"a": ["1"] * PARTS_MAX}


@pytest.mark.parametrize("boundary", ["b0", '"b0"'])
def test_what_stands_before_and_after_the_parts_is_ignored(boundary: str) -> None:
    body = "preamble\r\n" + part("café", "é") + "--b0--\r\nepilogue --b0 more"
    decoded = decode_multipart(body.encode(), f"multipart/form-data; boundary={boundary}")
    assert decoded == {"café": "é"}


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"x", "multipart/form-data", "names no boundary"),
        (b"x", "multipart/form-data; boundary=" + "b" * 71, "names no boundary"),
        (b"x", "multipart/form-data; boundary=\xe9", "names no boundary"),
        (b"x", TYPE, "the closing boundary is missing"),
        (part("a", "1").encode(), TYPE, "the closing boundary is missing"),
        (b"--b0\r\nno head\r\n--b0--", TYPE, "a part has no head"),
        (
            part("a", "1", "X: " + "x" * PART_HEAD_BYTES_MAX + "\r\n").encode() + b"--b0--",
            TYPE,
            "no head",
        ),
        (b"--b0\r\n\r\nx\r\n--b0--", TYPE, "a part has no name"),
        (part("", "1").encode() + b"--b0--", TYPE, "a part has no name"),
        (part("a", "X").encode().replace(b"X", b"\xff") + b"--b0--", TYPE, "not UTF-8"),
        (part("X", "1").encode().replace(b"X", b"\xff") + b"--b0--", TYPE, "not UTF-8"),
        (
            part("a", "{", "Content-Type: application/json\r\n").encode() + b"--b0--",
            TYPE,
            "Cannot parse",
        ),
        ((part("a", "1") * (PARTS_MAX + 1)).encode() + b"--b0--", TYPE, "Too many arguments"),
    ],
)
def test_bad_multipart(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        decode_multipart(body, content_type)
