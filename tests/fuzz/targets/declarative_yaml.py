"""A declarative document, YAML or JSON, is a document, or errors in Kong's form; never more of it
than is allowed, however few lines stand for it. What was read reads the same as JSON, and twice."""

import json
from typing import Any

from store.declarative.document import Document, parse_document, read_values
from store.declarative.flattened import flatten
from store.errors import EntityError
from store.limits import DOCUMENT_DEPTH_MAX, DOCUMENT_NODES_MAX
from store.schema.violations import DECLARATIVE_INVALID
from tests.fuzz.target import Target


def attack(data: bytes) -> None:
    """A document's text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    try:
        values = parse_document(text)
    except EntityError as error:
        _told(error)
        return
    assert _count(values) <= DOCUMENT_NODES_MAX
    again = json.dumps(values, allow_nan=False)
    assert json.dumps(parse_document(again)) == again
    document = _document(values)
    if document is not None:
        changes = document.changes()
        assert read_values(values).changes() == changes
        for change in changes:
            assert change.entity is not None
            assert isinstance(json.loads(change.entity), dict)


def _document(values: dict[str, Any]) -> Document | None:
    try:
        return read_values(values)
    except EntityError as error:
        _told(error)
        flat, rest = flatten(values, error.fields)
        json.dumps([flat, rest], allow_nan=False).encode()
        assert flat or rest
        return None


def _told(error: EntityError) -> None:
    assert error.code == DECLARATIVE_INVALID
    assert error.fields
    json.dumps([error.message, error.fields], allow_nan=False).encode()


def _count(values: dict[str, Any]) -> int:
    count, level = 0, [(1, values)]
    while level:
        depth, value = level.pop()
        assert depth <= DOCUMENT_DEPTH_MAX
        count += 1
        if isinstance(value, dict):
            level += [(depth + 1, child) for child in value.values()]
            count += len(value)
        elif isinstance(value, list):
            level += [(depth + 1, child) for child in value]
    return count


_ROUTES = b"""_format_version: "3.0"
services:
- name: a
  url: http://x:80/p
  tags: [t]
  routes:
  - name: r
    paths: [/a, "~/b$"]
    methods: [GET]
  plugins:
  - name: rate-limiting
    config: {minute: 5, policy: local}
consumers:
- username: u
  keyauth_credentials: [{key: k}]
"""
_REFERENCES = b"""_format_version: "1.1"
_transform: true
services: [{name: a, host: h, id: 0c3f4b52-4d0a-4b2e-9a55-6a3c0a4f6f11}]
routes: [{name: r, service: a, hosts: [x.test]}, {service: {name: b}, paths: [/]}]
upstreams: [{name: up, targets: [{target: "1.2.3.4:80", weight: 1}]}]
_info: {select_tags: [a]}
"""
_ALIASES = b"""_format_version: "3.0"
x: &a [1, 2]
y: &b [*a, *a, *a]
services: [<<: {name: n}, host: h, *b]
"""

TARGET = Target(
    attack,
    seeds=[
        _ROUTES,
        _REFERENCES,
        _ALIASES,
        json.dumps({"_format_version": "3.0", "services": [{"host": "h", "port": 80}]}).encode(),
        b'{"_format_version": "3.0", "plugins": [{"name": "cors", "config": {}}]}',
        b'_format_version: "3.0"\ncertificates: [{cert: a, key: b, snis: [{name: s}]}]',
        b'_format_version: "3.0"\nvaults: [{prefix: env-1, name: env, config: {prefix: A}}]',
        b'_format_version: "3.0"\nservices: [{name: !!binary aGk=, host: 2001-01-01}]',
        b"&a {a: *a}",
    ],
    words=[
        *(b"_format_version: ", b"services:\n- ", b"routes: [", b"plugins: [", b"consumers: ["),
        *(b"!!binary ", b"!!set {a}", b"!!omap [a: b]", b"!!timestamp 2001-01-01", b"!!float .nan"),
        *(
            b"&a ",
            b"*a",
            b"<<: ",
            b"? ",
            b"--- ",
            b"...\n",
            b"1e999",
            b".inf",
            b"~",
            b"!!python/name:x",
        ),
    ],
    bytes_max=800,
)
