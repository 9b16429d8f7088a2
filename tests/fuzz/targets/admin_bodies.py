"""A body of a write to the Admin API (JSON, a form, a multipart form) is values within bounds, or a
refusal with a status of its own. Plain cases read as ``json`` and ``urllib`` read them."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from node.admin.errors import Refusal
from node.admin.form import decode_urlencoded
from node.admin.json_body import decode_json, decode_json_object
from node.admin.limits import (
    BODY_DEPTH_MAX,
    BODY_VALUES_MAX,
    FORM_FIELDS_MAX,
    NUMBER_MAX,
    PARTS_MAX,
)
from node.admin.multipart import decode_multipart
from store.schema import schema
from tests.fuzz.target import Target

_JSON, _FORM, _PARTS = range(3)
_KINDS = [schema(kind) for kind in ("services", "routes", "consumers", "upstreams", "plugins")]
_BOUNDARY = "multipart/form-data; boundary=b"


def attack(data: bytes) -> None:
    """What kind of body, and the body. A multipart form may bring its Content-Type, as a line."""
    if not data:
        return
    kind, body = data[0] % 3, data[1:]
    try:
        if kind == _JSON:
            _json(body)
            return
        if kind == _FORM:
            fields = decode_urlencoded(body)
            _as_urllib_reads(body, fields)
        else:
            fields = _parts(body)
    except Refusal as refusal:
        assert refusal.status in (400, 413)
        assert refusal.text
        refusal.text.encode()
        return
    _is_sound(fields)
    _inferred(fields, data[0] // 3)


def _json(body: bytes) -> None:
    document = decode_json(body)
    assert document == json.loads(body.decode())
    _is_sound(document)
    text = json.dumps(document, allow_nan=False)
    assert json.dumps(decode_json(text.encode())) == text
    assert isinstance(decode_json_object(body), dict)


def _as_urllib_reads(body: bytes, fields: dict[str, Any]) -> None:
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    assert len(pairs) <= FORM_FIELDS_MAX
    plain = {name: value for name, value in pairs if name and not set(name) & set(".[]")}
    if len(plain) == len(pairs):
        assert fields == plain
        assert decode_urlencoded(urlencode(plain).encode()) == plain


def _parts(body: bytes) -> dict[str, Any]:
    content_type = _BOUNDARY
    if body[:1] == b"\0":
        line, _, body = body[1:].partition(b"\n")
        content_type = f"multipart/form-data; {line.decode('latin-1')}"
    fields = decode_multipart(body, content_type)
    assert len(fields) <= PARTS_MAX
    return fields


def _is_sound(document: Any) -> None:
    level, values = [(1, document)], 0
    while level:
        depth, value = level.pop()
        values += 1
        assert depth <= BODY_DEPTH_MAX + 1
        if isinstance(value, dict):
            assert all(type(name) is str for name in value)
            level += [(depth + 1, child) for child in value.values()]
        elif isinstance(value, list):
            level += [(depth + 1, child) for child in value]
        elif type(value) is int:
            assert abs(value) <= NUMBER_MAX
        else:
            assert value is None or isinstance(value, bool | float | str)
    assert values <= BODY_VALUES_MAX + 1
    json.dumps(document, allow_nan=False, ensure_ascii=False).encode()


def _inferred(fields: dict[str, Any], number: int) -> None:
    """Text of forms is turned into the types of a schema where it reads as such."""
    inferred = _KINDS[number % len(_KINDS)].infer(fields, None)
    _is_sound(inferred)
    assert inferred.keys() <= fields.keys()


def _multipart(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


_DISPOSITION = b'Content-Disposition: form-data; name="%b"'

TARGET = Target(
    attack,
    seeds=[
        *(
            bytes([_JSON]) + body
            for body in (
                b'{"name": "a", "tags": ["x", null, true], "retries": 5, "w": -1.5e3}',
                b"[]",
                b'{"a": {"b": [{"c": "\\ud83d\\ude00"}]}}',
                b'{"a": 9223372036854775808}',
                b'{"a": NaN}',
                b'"\\ud800"',
            )
        ),
        *(
            bytes([_FORM + 3 * number]) + body
            for number in range(len(_KINDS))
            for body in (
                b"name=a&host=x.test&port=80&tags[]=a&tags[]=b&enabled=true",
                b"paths[1]=/a&paths[2]=/b&headers.x-a=1&config.minute=5&service.id=x",
                b"a=1&a=2&a[x]=3&b%5B%5D=%E2%82%AC&c=+&d",
            )
        ),
        *(
            bytes([_PARTS]) + body
            for body in (
                _multipart(
                    _DISPOSITION % b"name" + b"\r\n\r\na", _DISPOSITION % b"tags[]" + b"\r\n\r\nt"
                ),
                _multipart(
                    _DISPOSITION % b"config"
                    + b'; filename="x"\r\nContent-Type: application/json\r\n\r\n{"a": [1]}'
                ),
                b'\0boundary="b c"\n--b c\r\n' + _DISPOSITION % b"x" + b"\r\n\r\ny\r\n--b c--",
                b"\0boundary*=utf-8''b\n" + _multipart(_DISPOSITION % b"x" + b"\r\n\r\ny"),
            )
        ),
    ],
    words=[
        *(
            b"&",
            b"=",
            b"[]",
            b"[1]",
            b"[x]",
            b".",
            b"%00",
            b"%ff",
            b"%5B",
            b"\\ud800",
            b"\\udc00",
            b"1e999",
        ),
        *(
            b"--b\r\n",
            b"--b--",
            b"\r\n\r\n",
            b'name="x"',
            b"name*=utf-8''x",
            b"Content-Type: ",
            b"charset=",
        ),
        *(
            b"Content-Transfer-Encoding: base64",
            b"application/json",
            b"boundary=",
            b"name*0=a; name*1=b",
        ),
    ],
)
