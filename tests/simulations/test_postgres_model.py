"""The model of Postgres beside a real one: random sessions must be answered alike, step by step."""

import random

import pytest

from simulations.authority.postgres.parser import parse
from simulations.authority.postgres.syntax import Unmodelled
from tests.postgres_server import PostgresDatabases
from tests.simulations.postgres_script import BEGIN, Model, Real, Step, draw

STEPS = 40


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(12))
async def test_it_answers_random_sessions_as_postgres_does(
    postgres_databases: PostgresDatabases, seed: int
) -> None:
    rng = random.Random(seed)
    sessions = 2 + seed % 2
    model = Model(sessions, seed)
    database = await postgres_databases.create()
    real = Real(database, postgres_databases.admin)
    (head,) = model.database.rows("head")
    await real.open(sessions, head["tag"])
    done: list[Step] = []
    try:
        for _ in range(STEPS):
            # With two that wait for one, either may be the first to go on.
            free = model.free if len(model.free) > sessions - 2 else []
            step = draw(rng, free or model.free)
            if not free and step.sql not in ("COMMIT", "ROLLBACK"):
                step = step._replace(sql="ROLLBACK", parameters=())
            steps = [step]
            if step.sql in ("COMMIT", "ROLLBACK"):
                steps.append(Step(step.session, BEGIN))
            for each in steps:
                done.append(each)
                assert await real.do(each) == model.do(each), done
            assert await real.content() == model.content(), done
    finally:
        await real.close()
        await postgres_databases.drop(database)


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE entity",
        "SELECT * FROM entity",
        "SELECT body FROM entity LEFT JOIN head ON true",
        "SELECT body FROM entity WHERE body LIKE $1",
        "SELECT lower(body) FROM entity",
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
