"""The model of Postgres beside a real one: random sessions must be answered alike, step by step."""

import random

import pytest

from simulations.authority.postgres.parser import parse
from simulations.authority.postgres.syntax import Unmodelled
from tests.postgres_server import PostgresDatabases
from tests.simulations.postgres_script import Model, Real, Script, Step

SEEDS = 12
STEPS = 60


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_it_answers_random_sessions_as_postgres_does(
    postgres_databases: PostgresDatabases, seed: int
) -> None:
    model, script = Model(2, seed), Script(random.Random(seed))
    database = await postgres_databases.create()
    real = Real(database, postgres_databases.admin)
    (head,) = model.database.rows("head")
    await real.open(2, head["tag"])
    done: list[Step] = []
    try:
        for _ in range(STEPS):
            step = script.next(model.free)
            done.append(step)
            expected = await real.do(step)
            assert model.do(step) == expected, done
            script.answered(expected)
        assert await real.content() == model.content(), done
    finally:
        await real.close()
        await postgres_databases.drop(database)


def test_the_random_sessions_wait_for_each_other_and_come_into_circles() -> None:
    seen = {"waited": 0, "DeadlockDetectedError": 0, "ForeignKeyViolationError": 0}
    for seed in range(SEEDS):
        model, script = Model(2, seed), Script(random.Random(seed))
        for _ in range(STEPS):
            step = script.next(model.free)
            outcomes = model.do(step)
            script.answered(outcomes)
            seen["waited"] += step.session not in [session for session, _ in outcomes]
            for _, text in outcomes:
                if text in seen:
                    seen[text] += 1
    assert seen["waited"] > 25, seen
    assert all(seen.values()), seen


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE entity",
        "SELECT * FROM entity",
        "SELECT body FROM entity LEFT JOIN head ON true",
        "SELECT body FROM entity WHERE body LIKE $1",
        "SELECT lower(body) FROM entity",
        "SELECT id FROM (SELECT id FROM entity UNION ALL SELECT id FROM entity) e",
        "SELECT count(id) FROM entity",
        "INSERT INTO entity VALUES ($1, $2, $3)",
        "SELECT body FROM entity FOR UPDATE SKIP LOCKED",
        "UPDATE entity SET body = DEFAULT, x",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
        "COMMIT AND CHAIN",
        "DELETE FROM entity USING head",
    ],
)
def test_what_it_does_not_know_it_refuses(sql: str) -> None:
    with pytest.raises(Unmodelled):
        parse(sql)
