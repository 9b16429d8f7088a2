"""The nodes' rows, by which they find each other, and which nodes were forced out, as plans.

A node that was forced out stays out, up to a generation: its row goes, an older process can't bring
it back, and the next generation is above it.
"""

from collections.abc import Sequence

from store.authority import NodeRow, Removal
from store.errors import SchemaMismatch
from store.limits import REMOVALS_MAX
from store.plan import Plan, Statement

REMOVAL_SCHEMA = 3
"""The schema since which there is a place for removals. Asked for before the table is: in Postgres
a statement that fails would end the transaction."""


def next_generation(node_id: str, floor: int) -> Plan[int]:
    """Store and answer 1 + the highest of floor, the generation stored for this node, and that up
    to which it was forced out."""
    if (yield from _has_removals()):
        rows = yield Statement("SELECT generation FROM removed_node WHERE id = $1", (node_id,))
        floor = max([floor, *(row[0] for row in rows)])
    rows = yield Statement(
        "INSERT INTO node (id, name, generation, address)"
        " VALUES ($1, '', CAST($2 AS bigint) + 1, '')"
        " ON CONFLICT (id) DO UPDATE SET generation = 1 +"
        " CASE WHEN node.generation > $2 THEN node.generation ELSE $2 END"
        " RETURNING generation",
        (node_id, floor),
    )
    generation: int = rows[0][0]
    return generation


def register_node(row: NodeRow) -> Plan[None]:
    """Store a node's row, unless a younger process of that node has stored its own or this one was
    forced out."""
    if (yield from _is_removed(row.id, row.generation)):
        return
    yield Statement(
        "INSERT INTO node (id, name, generation, address) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, generation = excluded.generation,"
        " address = excluded.address WHERE node.generation <= excluded.generation",
        tuple(getattr(row, name) for name in ("id", "name", "generation", "address")),
    )


def read_nodes() -> Plan[Sequence[NodeRow]]:
    """The nodes that have said where they are, without those that were forced out."""
    removed = ""
    if (yield from _has_removals()):
        removed = (
            " AND NOT EXISTS (SELECT 1 FROM removed_node r"
            " WHERE r.id = node.id AND r.generation >= node.generation)"
        )
    rows = yield Statement(
        f"SELECT id, name, generation, address FROM node WHERE address <> ''{removed} ORDER BY id"
    )
    return tuple(NodeRow(*row) for row in rows)


def forget_node(node_id: str, generation: int) -> Plan[None]:
    """Delete a node's row unless it is of a higher generation."""
    yield Statement("DELETE FROM node WHERE id = $1 AND generation <= $2", (node_id, generation))


def remove_node(removal: Removal, at: float) -> Plan[None]:
    """Force a node out: keep that, and delete its row. Raises SchemaMismatch when there is no place
    for it yet."""
    if not (yield from _has_removals()):
        raise SchemaMismatch(
            "the database has no place for nodes that were forced out yet;"
            " run 'grapevine migrations up'"
        )
    yield Statement(
        "INSERT INTO removed_node (id, generation, at) VALUES ($1, $2, $3)"
        " ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, at = excluded.at"
        " WHERE removed_node.generation < excluded.generation",
        (*removal, at),
    )
    yield from forget_node(*removal)
    yield Statement(
        "DELETE FROM removed_node WHERE id IN"
        f" (SELECT id FROM removed_node ORDER BY at DESC, id LIMIT 1000 OFFSET {REMOVALS_MAX})"
    )


def read_removals() -> Plan[Sequence[Removal]]:
    """The nodes that were forced out, the latest first; none while there is no place for them."""
    if not (yield from _has_removals()):
        return ()
    rows = yield Statement("SELECT id, generation FROM removed_node ORDER BY at DESC, id")
    return tuple(Removal(*row) for row in rows)


def _is_removed(node_id: str, generation: int) -> Plan[bool]:
    if not (yield from _has_removals()):
        return False
    rows = yield Statement(
        "SELECT 1 FROM removed_node WHERE id = $1 AND generation >= $2", (node_id, generation)
    )
    return bool(rows)


def _has_removals() -> Plan[bool]:
    rows = yield Statement("SELECT schema_version FROM authority")
    return bool(rows) and rows[0][0] >= REMOVAL_SCHEMA
