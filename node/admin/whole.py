"""``POST /config`` on a node with a database: a whole configuration as one changeset.

An addition to Kong's API, which has it without a database only. ``?dry_run=1`` says what a document
would change, ``?prune=0`` deletes nothing. The answer names entities and fields, never a value.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from node.admin.answers import json_answer
from node.admin.audit_log import note_commit, note_read
from node.admin.conditions import if_match
from node.admin.errors import Refusal
from node.admin.fence import note_written
from node.admin.limits import TOUCHED_LISTED_MAX
from node.admin.node_view import NodeView
from node.admin.writes import revision_headers, write_id
from node.config import plugins
from store.authority import ANY_CONTENT, Committed, Replace
from store.declarative.bring import Bringer, Brought, bring
from store.declarative.difference import Difference, Touched
from store.declarative.standing import StateTooLarge, WholeState
from store.limits import STATE_ROWS_MAX
from store.schema import kinds
from store.version import EMPTY, Version

_TRUE = ("1", "true", "on", "yes")
_FALSE = ("0", "false", "off", "no")


def wished(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    """A switch of the query. Raises Refusal 400."""
    text = query.get(name)
    if text is None:
        return default
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    raise Refusal(400, f"{name}: '{text}' is not known; write true or false")


async def put_in_place(request: web.Request, node: NodeView, text: str) -> web.Response:
    """Make the configuration what a document says, or say what that would change.

    201 when a revision was written, 200 when there was nothing to write, or nothing was to be.
    Raises Refusal, and what ``store.declarative.bring.bring`` does.
    """
    dry_run = wished(request.query, "dry_run", default=False)
    if dry_run:
        note_read(request)
    prune = wished(request.query, "prune", default=True)
    key = write_id(request.headers)
    lines = request.headers.getall("If-Match", [])
    named = if_match(",".join(lines)) if lines else (ANY_CONTENT,)

    def expected(state: WholeState) -> None:
        version = str(state.head.version)
        if not {ANY_CONTENT, version}.intersection(named):
            raise Refusal(412, f"the configuration is at {version}, not as If-Match names it")

    async def see(state: WholeState) -> None:
        await node.authority.walk(state, STATE_ROWS_MAX)

    async def commit(replace: Replace) -> Committed:
        committed = await node.commit([replace], key)
        note_commit(request, replace, committed)
        return committed

    if key is not None and not dry_run:
        nothing = Replace((), EMPTY)
        before = await node.commit([nothing], key)
        if before.changeset is not None:  # whatever the document would change by now
            note_commit(request, nothing, before)
            note_written(request, before.head.version)
            return _repeated(before)
    bringer = Bringer(see, commit, time.time, plugins.schemas(node.settings.plugins))
    try:
        brought = await bring(text, bringer, prune=prune, compare_only=dry_run, expected=expected)
    except StateTooLarge as error:
        raise Refusal(413, str(error)) from None
    if brought.committed is not None:
        note_written(request, brought.committed.head.version)
    return _answer(brought)


def _answer(brought: Brought) -> web.Response:
    found, committed = brought.difference, brought.committed
    if committed is None:
        version, headers = found.replace.at.version, {}
    else:
        version, headers = committed.head.version, revision_headers(committed)
    if committed is not None and brought.repeated:
        return _repeated(committed)
    written = committed is not None and committed.changeset is not None
    told = {"dry_run": committed is None, "written": written, "revision": str(version)}
    status = 201 if written else 200
    return json_answer({**told, **summary(found)}, status, {**headers, "ETag": etag(version)})


def _repeated(committed: Committed) -> web.Response:
    """The answer to a retry: what its first try has written, and nothing else."""
    version = committed.head.version
    told = {"dry_run": False, "written": False, "revision": str(version), "repeated": True}
    return json_answer(told, 200, {**revision_headers(committed), "ETag": etag(version)})


def etag(version: Version) -> str:
    """What ``If-Match`` names a whole configuration by."""
    return f'"{version}"'


def summary(found: Difference) -> dict[str, Any]:
    """A difference as JSON: how much, and what, by kind."""
    lists = {"created": found.created, "changed": found.changed, "deleted": found.deleted}
    counts = {name: len(touched) for name, touched in lists.items()}
    changes: dict[str, dict[str, Any]] = {}
    for kind in kinds():
        for name, touched in lists.items():
            of_kind = [one for one in touched if one.kind == kind]
            if of_kind:
                changes.setdefault(kind, {"counts": {}})["counts"][name] = len(of_kind)
                changes[kind][name] = _shown(of_kind)
    return {"counts": {**counts, "unchanged": found.unchanged}, "changes": changes}


def _shown(touched: Sequence[Touched]) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "name": one.name, **({"fields": list(one.fields)} if one.fields else {})}
        for one in touched[:TOUCHED_LISTED_MAX]
    ]
