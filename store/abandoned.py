"""What a raised epoch leaves behind: changesets that were confirmed, and that the authority lost.

They are no part of the configuration any more. An operator may want to know them, and to make some
of them again, so each node keeps those that it held where a human can read them.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

from store.changelog import Changelog
from store.changeset import Changeset, decode_body
from store.history import Epoch
from store.version import Head


def abandoned(head: Head, log: Changelog, epochs: Sequence[Epoch]) -> list[Changeset]:
    """What was held at a head, and isn't part of a history with these raised epochs."""
    later = [epoch.fork_revision for epoch in epochs if epoch.epoch > head.version.epoch]
    return log.above(min(later)) if later else []


def as_line(changeset: Changeset) -> str:
    """A changeset as a line of JSON: what it did, when, where, and its place in its history."""
    body = decode_body(changeset.body)
    content: dict[str, Any] = {
        "version": str(changeset.version),
        "tag": f"{changeset.version.tag:016x}",
        "digest": changeset.digest.hex(),
        "committed_at": body.committed_at,
        "origin": body.origin,
        "write_id": base64.b16encode(body.write_id).decode().lower(),
        "changes": [
            {
                "kind": change.kind,
                "id": change.id,
                "entity": None if change.entity is None else json.loads(change.entity),
            }
            for change in body.changes
        ],
    }
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)
