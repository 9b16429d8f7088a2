"""A ``multipart/form-data`` body, held in memory and bounded (RFC 7578, RFC 2046 section 5.1).

A part with a file name counts like any other: its content is the field's value.
"""

from email.message import Message
from email.parser import HeaderParser
from typing import Any

from node.admin.errors import Refusal
from node.admin.form import nest, too_many_fields
from node.admin.json_body import decode_json
from node.admin.limits import PART_HEAD_BYTES_MAX, PARTS_MAX

_BOUNDARY_CHARS_MAX = 70
"""RFC 2046 section 5.1.1."""


def decode_multipart(body: bytes, content_type: str) -> dict[str, Any]:
    """The nested value of the body's fields; see form.py for their names. Raises Refusal."""
    if not body:
        return {}
    return nest([_field(part) for part in _parts(body, _boundary(content_type))])


def _boundary(content_type: str) -> bytes:
    head = Message()
    if content_type.isascii():
        head["Content-Type"] = content_type
    boundary = head.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= _BOUNDARY_CHARS_MAX:
        raise _malformed(f"Content-Type names no boundary of 1 to {_BOUNDARY_CHARS_MAX} characters")
    return boundary.encode()


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    """What stands between the delimiters; preamble and epilogue don't count."""
    delimiter = b"\r\n--" + boundary
    pieces = (b"\r\n" + body).split(delimiter, PARTS_MAX + 1)
    closing = next((i for i, piece in enumerate(pieces) if i and piece.startswith(b"--")), None)
    if closing is None:
        if len(pieces) > PARTS_MAX + 1:
            raise too_many_fields()
        raise _malformed("the closing boundary is missing")
    return pieces[1:closing]


def _field(part: bytes) -> tuple[str, Any]:
    head, blank_line, content = part.partition(b"\r\n\r\n")
    if not blank_line or len(head) > PART_HEAD_BYTES_MAX:
        raise _malformed(f"a part has no head of at most {PART_HEAD_BYTES_MAX} bytes")
    # What is left of the boundary's line stands before the head: blanks and a line's end.
    headers = HeaderParser().parsestr(_text(head).lstrip(" \t").removeprefix("\r\n"))
    name = headers.get_param("name", header="Content-Disposition")
    if not isinstance(name, str) or not name:
        raise _malformed("a part has no name")
    if headers.get_content_type() == "application/json":
        return name, decode_json(content)
    return name, _text(content)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("a field is not UTF-8") from None


def _malformed(reason: str) -> Refusal:
    return Refusal(400, f"multipart/form-data: {reason}")
