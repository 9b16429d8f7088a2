"""Many writers at once, in one process and in several, and writers that are killed."""

import asyncio
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from store.authority import Authority, Create, Delete, Mutation, Patch, Put
from store.changeset import decode_body
from store.errors import EntityError
from store.postgres import PostgresAuthority
from store.sqlite import SqliteAuthority
from store.transaction import WriteRequest
from tests.rings import first_few
from tests.store.conftest import EVERY_ENGINE, Engine
from tests.store.history import check_history
from tests.store.test_write_rule import IDS, SCHEMAS
from tests.store.writer_process import write_at_random

ROOT = Path(__file__).resolve().parents[2]


async def start_writer(
    engine: Engine, seed: int, count: int, clients: int = 1
) -> asyncio.subprocess.Process:
    numbers = (str(seed), str(count), str(clients))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.writer_process", engine.where, *numbers),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("clients", [1, 6])
@pytest.mark.parametrize("seed", first_few(range(2)))
@EVERY_ENGINE
async def test_the_log_replays_to_the_state_after_random_concurrent_writes(
    engine: Engine, seed: int, clients: int
) -> None:
    """Clients of one connection share transactions."""
    connections = [await engine.connect() for _ in range(4)]
    counts = await asyncio.gather(
        *(
            write_at_random(connection, 100 * seed + 10 * number + client, 30, show=False)
            for number, connection in enumerate(connections)
            for client in range(clients)
        )
    )
    assert await check_history(connections[0]) == sum(counts) > 0


@pytest.mark.parametrize("clients", first_few([1, 5]))
async def test_the_log_replays_to_the_state_after_several_processes_wrote(
    engine: Engine, clients: int
) -> None:
    writers = [await start_writer(engine, seed, 30, clients) for seed in range(3)]
    printed = [(await writer.communicate())[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    revisions = sorted(int(line) for lines in printed for line in lines)
    assert await check_history(await engine.connect()) == len(revisions)
    assert revisions == list(range(1, len(revisions) + 1))


PARENTS = ("a", "b", "c")


def family_mutation(rng: random.Random) -> Mutation:
    """Something about parents, and children that go with a parent or sibling, or guard one."""
    name = rng.choice(PARENTS)
    child = rng.choice(IDS)
    fields = {
        "parent": {"name": rng.choice(PARENTS)},
        "sibling": {"id": rng.choice(IDS)} if rng.random() < 0.4 else None,
        "guard": {"name": rng.choice(PARENTS)} if rng.random() < 0.1 else None,
    }
    match rng.randrange(7):
        case 0 | 1:
            return Put("parents", name, {})
        case 2 | 3:
            return Put("children", child, fields)
        case 4:
            return Patch("children", child, {rng.choice(("parent", "guard")): None})
        case 5:
            return Patch("parents", name, {"name": rng.choice(PARENTS)})
        case _:
            return Delete("parents", name)


@pytest.mark.parametrize("seed", first_few(range(2)))
async def test_the_log_replays_to_the_state_after_cascades_met_new_references(
    engine: Engine, seed: int
) -> None:
    connections = [await engine.connect() for _ in range(3)]
    codes = Counter[int]()

    async def client(authority: Authority, seed: int) -> int:
        assert isinstance(authority, PostgresAuthority | SqliteAuthority)
        rng = random.Random(seed)
        deletions = 0
        for _ in range(40):
            mutations = tuple(family_mutation(rng) for _ in range(rng.choice((1, 1, 2))))
            request = WriteRequest(
                mutations, rng.randbytes(16), "", 1.0, schemas=SCHEMAS.__getitem__
            )
            try:
                committed = await authority.writes.write(request)
            except EntityError as error:
                codes[error.code] += 1
                continue
            if committed.changeset is not None:
                changes = decode_body(committed.changeset.body).changes
                deletions += sum(change.entity is None for change in changes) > 1
        return deletions

    cascades = await asyncio.gather(
        *(
            client(connection, 100 * seed + 10 * number + one)
            for number, connection in enumerate(connections)
            for one in range(4)
        )
    )
    assert sum(cascades) > 0
    assert set(codes) <= {4, 5, 6, 13}
    assert await check_history(connections[0], SCHEMAS.__getitem__) > 0


@pytest.mark.parametrize("after", [1, 7, 20])
async def test_a_killed_writer_leaves_a_whole_state_with_all_it_answered(
    engine: Engine, after: int
) -> None:
    writer = await start_writer(engine, seed=after, count=0)
    assert writer.stdout is not None
    answered = [int(await writer.stdout.readline()) for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    answered += [int(line) for line in (await writer.stdout.read()).split(b"\n") if line.strip()]
    await writer.wait()
    authority = await engine.connect()
    assert await check_history(authority) >= max(answered)
    await authority.write([Create("services", {"host": "h"})], origin="")  # and writes go on


@EVERY_ENGINE
async def test_of_two_writers_of_one_name_one_wins(engine: Engine) -> None:
    connections = [await engine.connect() for _ in range(4)]

    async def create(authority: Authority) -> str:
        try:
            await authority.write([Create("services", {"name": "s", "host": "h"})], origin="")
        except EntityError as error:
            return str(error.code)
        return "won"

    outcomes = await asyncio.gather(*(create(connection) for connection in connections))
    assert sorted(outcomes) == ["5", "5", "5", "won"]


@EVERY_ENGINE
async def test_concurrent_patches_of_different_fields_all_survive(engine: Engine) -> None:
    connections = [await engine.connect() for _ in range(3)]
    await connections[0].write([Create("services", {"name": "s", "host": "h"})], origin="")
    fields = {"retries": 1, "path": "/x", "connect_timeout": 2}
    await asyncio.gather(
        *(
            connection.write([Patch("services", "s", {name: value})], origin="")
            for connection, (name, value) in zip(connections, fields.items(), strict=True)
        )
    )
    entity = await connections[0].get("services", "s")
    assert entity is not None
    assert {name: entity[name] for name in fields} == fields


@EVERY_ENGINE
async def test_a_write_id_sent_by_several_at_once_is_done_once(engine: Engine) -> None:
    connections = [await engine.connect() for _ in range(3)]
    outcomes = await asyncio.gather(
        *(
            connection.write([Create("services", {"host": "h"})], origin="", write_id=b"w" * 16)
            for connection in connections
        )
    )
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert await check_history(connections[0]) == 1


@EVERY_ENGINE
async def test_state_and_head_are_of_one_moment_while_others_write(engine: Engine) -> None:
    writer, reader = await engine.connect(), await engine.connect()
    writing = asyncio.create_task(write_at_random(writer, 5, 40, show=False))
    states = []
    while not writing.done():
        states.append(await reader.state())
    await writing
    for state in states:
        following = await reader.log(state.head)
        assert following is not None
    assert await check_history(reader) == (await reader.head()).version.revision


@EVERY_ENGINE
async def test_a_write_id_is_done_once_also_when_its_entity_has_a_name(engine: Engine) -> None:
    """The second try must not be told that its own name is taken."""
    connections = [await engine.connect() for _ in range(4)]
    outcomes = await asyncio.gather(
        *(
            connection.write(
                [Create("services", {"name": "s", "host": "h"})], origin="", write_id=b"w" * 16
            )
            for connection in connections
        )
    )
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert await check_history(connections[0]) == 1
