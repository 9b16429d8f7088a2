"""Writes on a condition: ``If-Match`` with the ETag of an earlier answer (RFC 9110, 13.1.1).

An addition to Kong's API: of two clients that read the same entity and change it, the second is
told, rather than undoing what the first did. The comparison is made by the write itself, while it
holds the entity's row.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from node.admin.errors import Refusal
from node.admin.limits import IF_MATCH_TAGS_MAX
from store.authority import ANY_CONTENT, Create, IfMatch, Mutation, Replace

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')


def conditional(request: web.Request, mutations: Sequence[Mutation]) -> Sequence[Mutation]:
    """The mutations, of which the first, to the entity that the answer shows, has the request's
    condition. Raises Refusal 400."""
    lines = request.headers.getall("If-Match", [])
    if not lines:
        return mutations
    first, *others = mutations
    if isinstance(first, Create | Replace):
        raise Refusal(400, "If-Match: a new entity matches nothing; use PATCH, PUT or DELETE")
    return [replace(first, if_match=if_match(",".join(lines))), *others]


def if_match(value: str) -> IfMatch:
    """The content hashes that ``If-Match`` names. Raises Refusal 400.

    A weak tag matches nothing: the comparison is the strong one.
    """
    if value.strip() == "*":
        return (ANY_CONTENT,)
    found = [_TAG.fullmatch(part) for part in value.split(",")]
    tags = [tag for tag in found if tag is not None]
    if len(tags) < len(found):
        raise Refusal(400, 'If-Match: expected * or ETags in quotes, such as "0f3a"')
    if len(tags) > IF_MATCH_TAGS_MAX:
        raise Refusal(400, f"If-Match: at most {IF_MATCH_TAGS_MAX} ETags are compared")
    # What isn't a content hash keeps its quotes, so that it can't be taken for ``*``.
    return tuple(f"{tag[1] or ''}{tag[2]}" if tag[2] != ANY_CONTENT else '"*"' for tag in tags)
