"""Which entities have which tags, across all kinds."""

from collections.abc import Sequence

from store.authority import Tagged
from store.plan import Plan, Statement
from store.read import is_storable


def read_tags(tag: str | None, size: int, after: Tagged | None) -> Plan[Sequence[Tagged]]:
    """At most ``size`` uses of a tag (None: of any), those after ``after``, in order."""
    begin = after or Tagged("", "", "")
    if not all(is_storable(text) for text in (tag or "", *begin)):
        return ()
    condition, chosen = ("", ()) if tag is None else (" AND tag = $4", (tag,))
    rows = yield Statement(
        f"SELECT tag, kind, id FROM entity_tag WHERE (tag, kind, id) > ($1, $2, $3){condition}"
        f" ORDER BY tag, kind, id LIMIT {int(size)}",
        (*begin, *chosen),
    )
    return [Tagged(*row) for row in rows]
