"""Whole nodes over a database of SQL: the engines of ``store`` write, poll and catch up, on the
model of Postgres or the real sqlite3, while all of it fails.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, cast

from gossip.replica import Changeset, Head, Version
from simulations.authority import EMPTY
from simulations.authority.client import AuthorityClient
from simulations.authority.grounds import Ground, PostgresGround, SqliteGround
from simulations.authority.ledger import Ledger, read_tables
from simulations.links import Link
from simulations.operations import Crash, Partition, Pause, Resume, perform
from simulations.report import Report, report
from simulations.settings import SettingError, Settings
from simulations.whole.authority import EntityAuthority
from simulations.whole.configuration import CONSUMERS, KEYS, ROUTES, SERVICES, WORDS, entity_id
from simulations.whole.operations import KillWorker, Request
from simulations.whole.truth import State, Truth
from simulations.whole.world import WholeWorld
from store.authority import Delete, Mutation, Put
from store.engine import Engine
from store.schema import schema
from store.version import EMPTY as NOTHING
from store.version import Head as StoreHead

GROUNDS: dict[str, type[PostgresGround | SqliteGround]] = {
    "postgres": PostgresGround,
    "sqlite": SqliteGround,
}
_SCHEMAS = {kind: schema(kind) for kind in (SERVICES, ROUTES, CONSUMERS, KEYS)}
POLL_SECONDS = 5.0
CONNECTIONS_MAX = 4
"""P7: of one node to the authority: the writer's, the readers', one that listens."""
_SETTLE_SECONDS = 60.0


class Tables(Truth):
    """What the database's log says, or said before it lost something."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._ground = ground

    def is_committed(self, version: Version, digest: bytes) -> bool:
        if not super().is_committed(version, digest):
            self.read()
        return super().is_committed(version, digest)

    def read(self) -> None:
        """Note what is new there."""
        rows = [*self._ground.lost.rows.values(), *self._ground.log]
        for row in sorted(rows, key=lambda row: int(row["revision"])):
            self.note(changeset_of(row))


class SqlAuthority(EntityAuthority):
    """What the world asks of its authority. To the nodes themselves it is away: they reach it
    through their clients."""

    def __init__(self, truth: Tables, ground: Ground) -> None:
        super().__init__(truth)
        self.available = False
        self._ground = ground
        self._tables = truth

    def head(self) -> Head:
        rows = self._ground.log
        self._tables.read()
        return Head(*_head(rows[-1])) if rows else EMPTY


def changeset_of(row: Mapping[str, Any]) -> Changeset:
    """A row of the log."""
    version, digest = _head(row)
    return Changeset(version, row["predecessor"], digest, row["body"])


def _head(row: Mapping[str, Any]) -> tuple[Version, bytes]:
    tag = int.from_bytes(row["tag"], "big")
    return (int(row["epoch"]), tag, int(row["revision"])), row["chain"]


class _Following:
    """Tells a node's client of its starts and ends."""

    def __init__(self, client: AuthorityClient) -> None:
        self._client = client

    def started(self) -> None:
        self._client.started()

    def ended(self) -> None:
        self._client.ended()

    def paused(self) -> None:
        self._client.loop.pause()

    def resumed(self) -> None:
        self._client.loop.resume()


def tie(world: WholeWorld, ground: Ground, ledger: Ledger) -> list[AuthorityClient]:
    """Give the nodes of a new world this database."""
    truth = Tables(ground)
    world.truth, world.authority = truth, SqlAuthority(truth, ground)
    clients = [
        AuthorityClient(world, node, ground, ledger, POLL_SECONDS, schemas=None)
        for node in world.nodes
    ]
    for node, client in zip(world.whole_nodes, clients, strict=True):
        node.companion = _Following(client)
    world.checks.begin_audits()
    return clients


def engines(nodes: int, seed: int, settings: Settings) -> Report:
    """Whole nodes write through SQL while connections, servers, workers, nodes and the network
    fail: each answer is true, each worker serves a version that was there, all end alike.

    Options: engine=postgres|sqlite, seconds; loses=1, with which commits are lost and images put
    back.
    """
    name = settings.get("engine", "postgres")
    if name not in GROUNDS:
        raise SettingError(f"engine: '{name}' is none of {', '.join(GROUNDS)}")
    seconds = settings.get("seconds", 40.0)
    loses = settings.get("loses", 0) != 0
    profile, link = settings.profile(), settings.link(Link(loss=0.02))
    settings.check_used()
    world = WholeWorld(nodes, seed, profile, link)
    rng = random.Random(seed)
    ground: PostgresGround | SqliteGround
    if name == "postgres":
        ground = PostgresGround(world.clock, rng, lossless=not loses)
    else:
        ground = SqliteGround(world.clock, rng)
    ledger = Ledger()
    clients = tie(world, ground, ledger)
    world.measures["formed"] = world.form()
    _live(world, ground, clients, rng, seconds, loses=loses)
    _end(world, ground, clients)
    world.measures["all_at_the_head"] = world.run_until(all_serve(world), within=_SETTLE_SECONDS)
    world.run(10.0)
    _judge(world, ground, clients, ledger, loses=loses)
    return report(world, "safety", "liveness")


def _live(
    world: WholeWorld,
    ground: PostgresGround | SqliteGround,
    clients: list[AuthorityClient],
    rng: random.Random,
    seconds: float,
    *,
    loses: bool,
) -> None:
    end = world.now + seconds
    next_fault = world.now + 2.0
    while world.now < end:
        client = rng.choice(clients)
        if client.node.running and not client.node.paused:
            client.write(_draw(rng, world.truth.state(world.authority.head().digest)))
        perform(Request(rng.randrange(len(clients)), rng.randrange(6), rng.randrange(4)), world)
        world.run(rng.expovariate(8.0))
        _check_connections(ground)
        if world.now > next_fault:
            next_fault = world.now + rng.expovariate(0.4)
            _harm(world, ground, clients, rng, loses=loses)


def _harm(
    world: WholeWorld,
    ground: PostgresGround | SqliteGround,
    clients: list[AuthorityClient],
    rng: random.Random,
    *,
    loses: bool,
) -> None:
    node = rng.randrange(len(clients))
    names = [client.node.name for client in clients]
    match rng.randrange(8):
        case 0:
            perform(Crash(node), world)
        case 1:
            perform(KillWorker(node), world)
        case 2:
            perform(Pause(node), world)
            world.schedule(rng.choice([0.5, 4.0, 12.0]), _resume, world, node)
        case 3:
            perform(
                Partition([[node], [each for each in range(len(clients)) if each != node]]), world
            )
            world.schedule(rng.uniform(1.0, 15.0), world.network.heal)
        case 4 if loses:
            rng.choice((ground.remember, ground.rewind))()
        case 5 if isinstance(ground, PostgresGround):
            ground.fail_over(rng.uniform(0.5, 5.0))
        case _:
            ground.disturb(names)
    for client in clients:
        if not client.node.running and rng.random() < 0.6:
            world.schedule(rng.uniform(0.1, 5.0), _start, client)


def _resume(world: WholeWorld, node: int) -> None:
    perform(Resume(node), world)


def _start(client: AuthorityClient) -> None:
    if not client.node.running:
        client.node.start()


def _end(
    world: WholeWorld, ground: PostgresGround | SqliteGround, clients: list[AuthorityClient]
) -> None:
    ground.heal()
    world.network.heal()
    for index, client in enumerate(clients):
        perform(Resume(index), world)
        _start(client)
    world.run(10.0)


def all_serve(world: WholeWorld) -> Callable[[], bool]:
    """Whether all workers accept connections and serve the database's head."""

    def condition() -> bool:
        head = world.authority.head()
        for node in world.whole_nodes:
            worker = node.application.agent.process
            if worker is None or worker.version != head.version or not worker.listening:
                return False
        return True

    return condition


def _judge(
    world: WholeWorld,
    ground: PostgresGround | SqliteGround,
    clients: list[AuthorityClient],
    ledger: Ledger,
    *,
    loses: bool,
) -> None:
    world.promises.p4_all_alike(world.whole_nodes)
    for client in clients:
        assert not client.loop.errors, client.loop.errors[0]
    # P1: each answer was true, and what was answered is lost by the database alone.
    reader = clients[0]
    log = [changeset_of(row) for row in ground.log]
    committed = [answer.changeset for write in ledger.writes.values() for answer in write.committed]
    there = {changeset.digest: None for changeset in log}
    lost = [one for one in committed if one is not None and one.digest not in there]
    gone = [one for one in lost if one.digest not in ground.lost.rows]
    assert not gone, f"P1: {gone[0].version} was answered, and is lost, not by the database"
    assert loses or not lost, "P1: a failover without loss has lost commits"
    if not loses:
        _check_ledger(world, reader, ledger)
    world.measures["revisions"] = float(len(log))
    world.measures["epochs"] = float(log[-1].version[0]) if log else 0.0
    world.measures["lost"] = float(len(lost))


def _check_ledger(world: WholeWorld, reader: AuthorityClient, ledger: Ledger) -> None:
    engine = cast("Engine", reader._engine)

    async def read() -> Any:
        log: list[Any] = []
        point = NOTHING
        while following := await engine.log(point):
            log += following
            point = StoreHead(following[-1].version, following[-1].digest)
        return log, await engine.state(), await engine._read(read_tables)

    task = reader.loop.create_task(read())
    world.run_until(task.done, within=60.0)
    log, state, tables = task.result()
    ledger.check(log, state, tables, _SCHEMAS)


def _check_connections(ground: PostgresGround | SqliteGround) -> None:
    if isinstance(ground, PostgresGround):
        for name, driver in ground._drivers.items():
            count = len(driver.connections)
            assert count <= CONNECTIONS_MAX, f"P7: {name} has {count} connections"


def _draw(rng: random.Random, state: State) -> list[Mutation]:
    """What a client writes, by the Admin API's rules: some of it is refused."""
    number = rng.randrange(6)
    match rng.randrange(8):
        case 0 | 1:
            fields: dict[str, Any] = {"name": f"s{number}", "host": f"10.1.1.{rng.randrange(200)}"}
            return [Put(SERVICES, entity_id(SERVICES, number), fields)]
        case 2 | 3:
            hung = {"id": entity_id(SERVICES, rng.randrange(6))}
            fields = {"name": f"r{number}", "paths": [f"/{rng.randrange(9)}"], "service": hung}
            return [Put(ROUTES, entity_id(ROUTES, number), fields)]
        case 4:
            consumer = rng.randrange(4)
            return [Put(CONSUMERS, entity_id(CONSUMERS, consumer), {"username": f"c{consumer}"})]
        case 5:
            owner = {"id": entity_id(CONSUMERS, rng.randrange(4))}
            return [
                Put(KEYS, entity_id(KEYS, number), {"key": rng.choice(WORDS), "consumer": owner})
            ]
        case _:
            kind = rng.choice((SERVICES, ROUTES, CONSUMERS, KEYS, KEYS))
            return [Delete(kind, entity_id(kind, number))]
