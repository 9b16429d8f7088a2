"""Lists in pages: ``size``, ``offset`` and ``tags`` of the query, ``next`` of the answer.

Texts are Kong's (api/endpoints.lua, db/dao/init.lua, db/strategies/postgres); an offset is, as
Kong's, the unpadded base64 of the JSON array of the last primary key.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from node.admin.errors import INVALID_OPTIONS
from node.admin.limits import OFFSET_CHARS_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, TAGS_MAX
from store.authority import Page, Query
from store.errors import EntityError
from store.schema.values import is_uuid

_TAG = r"[\x20-\x2b\x2d\x2e\x30-\x7e\x80-\U0010ffff]+"
"""Printable ASCII but comma and slash, and whatever lies beyond ASCII."""
_TAGS_ALL = re.compile(rf"{_TAG}(?:,{_TAG})*,?")
_TAGS_ANY = re.compile(rf"{_TAG}(?:/{_TAG})*/?")


def page_query(
    kind: str, arguments: Mapping[str, str], references: Mapping[str, str] | None = None
) -> Query:
    """The query that a list's arguments ask for. Raises EntityError, codes 7, 9 and 11.

    Arguments that are none of ours are ignored, as Kong does; Kong Manager sends ``sort_desc``.
    """
    tags_all, tags_any = _tags(arguments["tags"]) if "tags" in arguments else ((), ())
    return Query(
        kind,
        size=page_size(arguments),
        after_id=decode_offset(arguments["offset"]) if arguments.get("offset") else None,
        references=references or {},
        tags_all=tags_all,
        tags_any=tags_any,
    )


def page_body(page: Page, path: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The answer to a list at ``path``; ``next`` repeats those of ``arguments`` that are set."""
    next_key = None if page.next_id is None else (page.next_id,)
    return list_body(list(page.entities), next_key, path, arguments)


def list_body(
    data: list[Any], next_key: tuple[str, ...] | None, path: str, arguments: Mapping[str, str]
) -> dict[str, Any]:
    """The same for any list whose next page begins after ``next_key``; None on the last one."""
    body: dict[str, Any] = {"data": data, "next": None}
    if next_key is not None:
        offset = encode_offset(*next_key)
        kept = "".join(
            f"&{name}={quote(arguments[name], safe='')}"
            for name in ("tags", "size")
            if name in arguments
        )
        body["next"] = f"{path}?offset={quote(offset, safe='')}{kept}"
        body["offset"] = offset
    return body


def encode_offset(*key: str) -> str:
    """The offset of the page that begins after an id, or after another key of several texts."""
    text = json.dumps(key, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(text.encode("utf-8")).decode().rstrip("=")


def decode_offset(offset: str) -> str:
    """The id that an offset names. Raises EntityError code 7."""
    (key,) = decode_key(offset, 1)
    if not is_uuid(key):
        raise _invalid_offset(offset, "not the key of an entity")
    return key.lower()


def decode_key(offset: str, parts: int) -> list[str]:
    """The texts of a key that an offset names. Raises EntityError code 7."""
    if len(offset) > OFFSET_CHARS_MAX:
        raise _invalid_offset(offset[:32] + "…", f"longer than {OFFSET_CHARS_MAX} characters")
    try:
        padding = "=" * (-len(offset) % 4)
        decoded = base64.b64decode((offset + padding).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _invalid_offset(offset, "bad base64 encoding") from None
    try:
        keys = json.loads(decoded)
    except (ValueError, RecursionError):
        raise _invalid_offset(offset, "bad json encoding") from None
    if not (isinstance(keys, list) and len(keys) == parts):
        raise _invalid_offset(offset, "not the key of an entity")
    if not all(isinstance(key, str) for key in keys):
        raise _invalid_offset(offset, "not the key of an entity")
    return keys


def _invalid_offset(offset: str, reason: str) -> EntityError:
    return EntityError(7, "invalid offset", f"'{offset}' is not a valid offset: {reason}", {})


def page_size(arguments: Mapping[str, str]) -> int:
    """How many entities a list's arguments ask for. Raises EntityError code 9."""
    if "size" not in arguments:
        return PAGE_SIZE_DEFAULT
    text = arguments["size"]
    try:
        size = float(text) if len(text) <= 32 else 0.0
    except ValueError:
        raise EntityError(9, "invalid size", "size must be a number", {}) from None
    if not (1 <= size <= PAGE_SIZE_MAX and size.is_integer()):
        reason = f"size must be an integer between 1 and {PAGE_SIZE_MAX}"
        raise EntityError(9, "invalid size", reason, {})
    return int(size)


def _tags(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``a,b`` means all of them, ``a/b`` any of them; mixed or empty is invalid."""
    for pattern, separator in ((_TAGS_ALL, ","), (_TAGS_ANY, "/")):
        if pattern.fullmatch(text):
            tags = tuple(tag for tag in text.split(separator) if tag)
            if len(tags) > TAGS_MAX:
                raise _invalid_tags(f"cannot query more than {TAGS_MAX} tags")
            return (tags, ()) if separator == "," else ((), tags)
    raise _invalid_tags("invalid filter syntax")


def _invalid_tags(reason: str) -> EntityError:
    return EntityError(
        INVALID_OPTIONS, "invalid options", f"invalid option (tags: {reason})", {"tags": reason}
    )
