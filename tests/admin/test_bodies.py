"""What bodies are taken, and what each bad one is told. Nothing bad leaves an entity behind."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from node.admin.limits import (
    BODY_BYTES_MAX,
    BODY_DEPTH_MAX,
    BODY_VALUES_MAX,
    FORM_FIELDS_MAX,
    HEADER_FIELD_BYTES_MAX,
    REQUEST_LINE_BYTES_MAX,
)
from tests.admin.client import Client

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
UNREADABLE = "Cannot parse JSON body"


def deep(levels: int) -> bytes:
    return b'{"tags":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param(b"", 400, UNREADABLE, id="empty"),
        pytest.param(b'{"hello": "world"', 400, UNREADABLE, id="cut off"),
        pytest.param(b"{'host': 'h'}", 400, UNREADABLE, id="single quotes"),
        pytest.param(b'{"host":"h.test",}', 400, UNREADABLE, id="trailing comma"),
        pytest.param(b'{"host":"h.test"}x', 400, UNREADABLE, id="more behind it"),
        pytest.param(b'"text"', 400, UNREADABLE, id="text"),
        pytest.param(b"null", 400, UNREADABLE, id="null"),
        pytest.param(b"7", 400, UNREADABLE, id="number"),
        pytest.param(b'[{"host":"h.test"}]', 400, UNREADABLE, id="array"),
        pytest.param(b'{"host":"\xff\xfe"}', 400, UNREADABLE, id="invalid UTF-8"),
        pytest.param(b'{"host":"h.test","name":"\\ud800"}', 400, UNREADABLE, id="lone surrogate"),
        pytest.param(b'{"host":"h.test","\\udfff":1}', 400, UNREADABLE, id="surrogate in a key"),
        pytest.param(b'{"host":"h.test","name":"a\x00"}', 400, UNREADABLE, id="raw NUL"),
        pytest.param(b'{"host":"h.test","port":NaN}', 400, UNREADABLE, id="NaN"),
        pytest.param(b'{"host":"h.test","port":-Infinity}', 400, UNREADABLE, id="Infinity"),
        pytest.param(
            b'{"host":"h.test","port":' + b"9" * 5000 + b"}", 400, UNREADABLE, id="5000 digits"
        ),
        pytest.param(
            b'{"host":"h.test","port":1e999}',
            400,
            "the JSON body holds a number beyond the range of a double",
            id="1e999",
        ),
        pytest.param(
            b'{"host":"h.test","port":9223372036854775808}',
            400,
            "the JSON body holds a number beyond 9223372036854775807",
            id="2^63",
        ),
        pytest.param(
            deep(BODY_DEPTH_MAX + 1),
            400,
            f"the JSON body is nested deeper than {BODY_DEPTH_MAX} levels; flatten it",
            id="deep",
        ),
        pytest.param(
            deep(100_000),
            400,
            f"the JSON body is nested deeper than {BODY_DEPTH_MAX} levels; flatten it",
            id="very deep",
        ),
        pytest.param(
            b'{"tags":[' + b"0," * BODY_VALUES_MAX + b"0]}",
            413,
            f"the JSON body holds more than {BODY_VALUES_MAX} values; split the request",
            id="many values",
        ),
    ],
)
async def test_bad_json(admin: Client, body: bytes, status: int, message: str) -> None:
    answer = await admin.post("/services", data=body, headers=JSON)
    assert (answer.status, answer.json) == (status, {"message": message})
    assert (await admin.get("/services")).json["data"] == []


@pytest.mark.parametrize(
    ("fields", "message", "details"),
    [
        ({}, "schema violation (host: required field missing)", {"host": "required field missing"}),
        ({"host": "h.test", "x": 1}, "schema violation (x: unknown field)", {"x": "unknown field"}),
        (
            {"host": "h.test", "port": "80"},
            "schema violation (port: expected an integer)",
            {"port": "expected an integer"},
        ),
        (
            {"host": "h.test", "port": 65536},
            "schema violation (port: value should be between 0 and 65535)",
            {"port": "value should be between 0 and 65535"},
        ),
        (
            {"host": "h.test", "retries": 2**62},
            "schema violation (retries: value should be between 0 and 32767)",
            {"retries": "value should be between 0 and 32767"},
        ),
        (
            {"host": 7, "enabled": "yes"},
            "2 schema violations (enabled: expected a boolean; host: expected a string)",
            {"enabled": "expected a boolean", "host": "expected a string"},
        ),
    ],
)
async def test_what_the_schema_refuses_is_400_code_2(
    admin: Client, fields: dict[str, Any], message: str, details: dict[str, str]
) -> None:
    answer = await admin.post("/services", json=fields)
    assert answer.status == 400
    assert answer.json == {
        "code": 2,
        "name": "schema violation",
        "message": message,
        "fields": details,
    }


async def test_an_escaped_nul_is_refused_by_the_field_that_holds_it(admin: Client) -> None:
    answer = await admin.post("/services", json={"host": "h.test", "name": "a\0b"})
    assert (answer.status, answer.json["code"]) == (400, 2)
    assert "name" in answer.json["fields"]


async def test_an_empty_array_counts_as_an_empty_object(admin: Client) -> None:
    answer = await admin.post("/services", data=b"[]", headers=JSON)
    assert answer.json["fields"] == {"host": "required field missing"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_methods_without_a_body_ignore_one(admin: Client, method: str) -> None:
    await admin.make_service("orders")
    answer = await admin.call(method, "/services/orders", data=b"{no json", headers=JSON)
    assert answer.status in (200, 204)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/jsonlines"},
        {"Content-Type": "application/yaml"},
        {"Content-Type": ""},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
async def test_other_content_is_415(admin: Client, headers: dict[str, str]) -> None:
    answer = await admin.post("/services", data=b'{"host":"h.test"}', headers=headers)
    assert (answer.status, answer.message) == (415, "Unsupported media type")


async def test_no_body_and_no_content_type_is_no_field(admin: Client) -> None:
    answer = await admin.post("/services", skip_auto_headers=["Content-Type"])
    assert answer.json["fields"] == {"host": "required field missing"}


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413(admin: Client, chunked: bool) -> None:
    body = json.dumps({"host": "h.test", "path": "/" + "x" * BODY_BYTES_MAX}).encode()

    async def slices() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    answer = await admin.post(
        "/services", data=slices() if chunked else BytesIO(body), headers=JSON
    )
    assert (answer.status, answer.message) == (413, "Payload too large")


async def test_a_request_line_or_header_over_its_limit_is_400(admin: Client) -> None:
    assert (await admin.get("/services/" + "x" * REQUEST_LINE_BYTES_MAX)).status == 400
    long = {"X-Long": "x" * (HEADER_FIELD_BYTES_MAX + 1)}
    assert (await admin.get("/services", headers=long)).status == 400


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"host=h.test&port=8080&enabled=false", {"port": 8080, "enabled": False}),
        (b"host=h.test&tags=a", {"tags": ["a"]}),
        (b"host=h.test&tags[]=a&tags[]=b", {"tags": ["a", "b"]}),
        (b"host=h.test&tags%5B1%5D=a&tags%5B2%5D=b", {"tags": ["a", "b"]}),
        (b"host=h.test&path=", {"path": None}),
        (b"host=h.test&name=caf%C3%A9", {"name": "café"}),
        (b"url=https://h.test:444/b", {"protocol": "https", "port": 444, "path": "/b"}),
    ],
)
async def test_forms_are_read_with_the_types_of_the_schema(
    admin: Client, body: bytes, expected: dict[str, Any]
) -> None:
    answer = await admin.post("/services", data=body, headers=FORM)
    assert answer.status == 201, answer.body
    assert {key: answer.json[key] for key in expected} == expected


async def test_a_form_reaches_into_maps_and_references(admin: Client) -> None:
    service = await admin.make_service("orders")
    body = f"paths[]=/o&headers.x-tenant[]=blue&service.id={service['id']}"
    answer = await admin.post("/routes", data=body, headers=FORM)
    assert answer.status == 201, answer.body
    assert answer.json["headers"] == {"x-tenant": ["blue"]}
    assert answer.json["service"] == {"id": service["id"]}


async def test_a_multipart_form_is_read_with_the_types_of_the_schema(admin: Client) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in (("host", "h.test"), ("port", "8080"), ("tags[]", "a"), ("tags[]", "b")):
        form.add_field(name, value)
    answer = await admin.post("/services", data=form)
    assert answer.status == 201, answer.body
    assert (answer.json["port"], answer.json["tags"]) == (8080, ["a", "b"])


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"host=%ff", 400, "the form is not UTF-8"),
        (b"host=\xff", 400, "the form is not UTF-8"),
        (b"a=1&a.b=2", 400, "form field 'a.b' contradicts another field of the form"),
        (b"a.b=1&a[]=2", 400, "form field 'a[]' contradicts another field of the form"),
        (b"a[1]=1&a[1]=2", 400, "form field 'a[1]' contradicts another field of the form"),
        (
            b"&".join(b"a%d=1" % i for i in range(FORM_FIELDS_MAX + 1)),
            400,
            "Too many arguments",
        ),
    ],
)
async def test_bad_forms(admin: Client, body: bytes, status: int, message: str) -> None:
    answer = await admin.post("/services", data=body, headers=FORM)
    assert (answer.status, answer.json) == (status, {"message": message})
