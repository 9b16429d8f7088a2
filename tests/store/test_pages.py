"""Pages of lists: the same, whichever way they are found; and found without reading everything."""

import itertools
import json
import random
from typing import Any

import asyncpg
import pytest

from simulations.real.postgres import connected
from store import pages
from store.authority import Authority, Create, Mutation, Page, Query
from store.pages import read_found
from store.plan import Batch, Statement
from store.postgres_address import PostgresAddress
from tests.store.conftest import EVERY_ENGINE

TAGS = ("a", "b", "c")
EVERYBODY, FEW = 20_000, 20


def wanted(entity: dict[str, Any], query: Query) -> bool:
    tags = set(entity["tags"] or ())
    return (
        all((entity[name] or {}).get("id") == target for name, target in query.references.items())
        and tags.issuperset(query.tags_all)
        and (not query.tags_any or not tags.isdisjoint(query.tags_any))
    )


@EVERY_ENGINE
@pytest.mark.parametrize("rare_max", [0, 2, 3_000])
async def test_pages_are_the_same_whatever_is_rare(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, rare_max: int
) -> None:
    monkeypatch.setattr(pages, "RARE_MAX", rare_max)
    rng = random.Random(5)
    services: list[Mutation] = [Create("services", {"host": "h"}) for _ in range(2)]
    made = [one for one in (await authority.write(services, origin="")).entities if one]
    routes: list[Mutation] = [
        Create(
            "routes",
            {
                "paths": ["/"],
                "tags": rng.sample(TAGS, rng.randint(0, 3)),
                "service": rng.choice([None, *({"id": one["id"]} for one in made)]),
            },
        )
        for _ in range(12)
    ]
    there = [one for one in (await authority.write(routes, origin="")).entities if one]
    tags: list[dict[str, Any]] = [
        {},
        *({"tags_all": ("a", "b")[:n]} for n in (1, 2)),
        {"tags_any": ("a", "c")},
    ]
    filters: list[dict[str, Any]] = [
        {**one, "references": references}
        for one, references in itertools.product(tags, ({}, {"service": made[0]["id"]}))
    ]
    for found_by in [*filters, {"tags_any": ("a",)}, {"tags_all": ("a", "none")}]:
        seen: list[str] = []
        after = None
        while True:
            query = Query("routes", size=3, after_id=after, **found_by)
            page = await authority.list(query)
            seen += [one["id"] for one in page.entities]
            assert all(wanted(one, query) for one in page.entities)
            after = page.next_id
            if after is None:
                break
        assert seen == sorted(one["id"] for one in there if wanted(one, query)), found_by


def rows_read(plan: dict[str, Any]) -> float:
    """Rows that the steps of an executed plan have made, those that were dropped at once too."""
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return float(own + sum(rows_read(child) for child in plan.get("Plans", ())))


async def executed(connection: asyncpg.Connection, query: Query) -> tuple[Page, Statement]:
    """The page, and the statement that found it."""
    plan = read_found(query)
    statement: Statement | Batch = next(plan)
    while True:
        assert isinstance(statement, Statement)
        asked = statement
        rows = await connection.fetch(statement.sql, *statement.parameters)
        try:
            statement = plan.send([tuple(row) for row in rows])
        except StopIteration as end:
            page: Page = end.value
            return page, asked


@pytest.mark.parametrize("analyzed", [False, True])
async def test_postgres_reads_few_rows_for_few_entities(
    postgres_database: PostgresAddress, analyzed: bool
) -> None:
    connection = await connected(postgres_database)
    await connection.execute(
        "SET search_path = grapevine; ALTER TABLE entity_tag SET (autovacuum_enabled = off);"
        "INSERT INTO entity SELECT 'routes', lpad(n::text, 9, '0'), '{}'"
        f" FROM generate_series(1, {EVERYBODY}) n;"
        "INSERT INTO entity_tag SELECT 'every', kind, id FROM entity;"
        "INSERT INTO entity_tag SELECT 'few', kind, id FROM entity"
        f" WHERE id::int % {EVERYBODY // FEW} = 0;" + ("ANALYZE" if analyzed else "")
    )
    found_by: list[dict[str, Any]] = [
        {"tags_all": ("every", "few")},
        {"tags_all": ("few", "every")},
        {"tags_any": ("few", "none")},
        {"tags_all": ("every",), "tags_any": ("few", "none")},
    ]
    try:
        for one in found_by:
            found, last = await executed(connection, Query("routes", size=100, **one))
            assert len(found.entities) == FEW
            explained = await connection.fetchval(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {last.sql}", *last.parameters
            )
            assert rows_read(json.loads(explained)[0]["Plan"]) < 20 * FEW, explained
    finally:
        await connection.close()
