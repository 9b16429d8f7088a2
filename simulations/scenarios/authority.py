"""Scenarios of the authority: the engines of ``store`` over the models of their databases."""

import random

from gossip.replica import Head
from simulations.authority import EMPTY
from simulations.authority.client import AuthorityClient, SqlAuthority
from simulations.authority.families import Families
from simulations.authority.grounds import PostgresGround, SqliteGround
from simulations.authority.histories import Histories
from simulations.authority.ledger import Ledger
from simulations.authority.writers import Run
from simulations.links import Link
from simulations.report import Report, report
from simulations.settings import SettingError, Settings
from simulations.world import World

_GROUNDS: dict[str, type[PostgresGround | SqliteGround]] = {
    "postgres": PostgresGround,
    "sqlite": SqliteGround,
}
WRITERS_MAX = 8


def writers(nodes: int, seed: int, settings: Settings) -> Report:
    """Processes write to one database while it fails: each answer is true, no commit is lost.

    At most ``WRITERS_MAX`` of ``nodes`` write. Options: engine=postgres|sqlite, writes, faults=0|1.
    """
    make_ground = _GROUNDS[_engine(settings)]
    count = settings.get("writes", 12)
    faults = settings.get("faults", 1) != 0
    settings.check_used()
    run = Run(seed, min(nodes, WRITERS_MAX), count, faults=faults)
    return _performed(run, make_ground(run.clock, run.rng))


def histories(nodes: int, seed: int, settings: Settings) -> Report:
    """As ``writers``, with a database that loses commits and is put back to old images: those who
    know what was confirmed raise its epoch, and all end on one history.

    Options: engine=postgres|sqlite, writes.
    """
    make_ground = _GROUNDS[_engine(settings)]
    count = settings.get("writes", 12)
    settings.check_used()
    run = Histories(seed, min(nodes, WRITERS_MAX), count)
    return _performed(run, make_ground(run.clock, run.rng))


def _engine(settings: Settings) -> str:
    engine = settings.get("engine", "postgres")
    if engine not in _GROUNDS:
        raise SettingError(f"engine: '{engine}' is none of {', '.join(_GROUNDS)}")
    return engine


def _performed(run: Run, ground: PostgresGround | SqliteGround) -> Report:
    run.perform(ground)
    lost = [item for item in run.judge() if item.digest not in ground.lost.rows]
    assert not lost, f"{lost[0].version} was answered, and is neither there nor lost by a failover"
    measures = {name: float(number) for name, number in sorted(run.counts.items())}
    measures["lost_by_database"] = float(len(ground.lost.rows))
    hash_ = run.trace.hexdigest()
    verdicts = {"safety": "ok", "liveness": "ok"}
    return Report(round(run.clock.now, 6), run.clock.events, hash_, verdicts, measures, {})


def authority(nodes: int, seed: int, settings: Settings) -> Report:
    """Nodes write through SQL while they crash and Postgres fails over: all end at its head.

    Failovers lose nothing: commits wait for the standby. Options: seconds; loses=1, with which they
    do lose commits, and old images are put back.
    """
    seconds = settings.get("seconds", 60.0)
    loses = settings.get("loses", 0) != 0
    world = World(nodes, seed, settings.profile(), settings.link(Link(loss=0.02)))
    settings.check_used()
    rng = random.Random(seed)
    ground = PostgresGround(world.clock, rng, lossless=not loses)
    world.authority = SqlAuthority(lambda: _head(ground))
    ledger, families = Ledger(), Families(rng)
    clients = [AuthorityClient(world, node, ground, ledger, 5.0) for node in world.nodes]
    world.measures["formed"] = world.form()
    for client in clients:
        client.started()
    end = world.now + seconds
    next_fault = world.now + 5.0
    while world.now < end:
        rng.choice(clients).write(families.draw())
        world.run(rng.expovariate(10.0))
        if world.now > next_fault:
            next_fault = world.now + rng.expovariate(0.3)
            _harm(world, ground, clients, rng)
            if loses:
                rng.choice((ground.remember, ground.rewind))()
    ground.heal()
    world.run(10.0)
    for client in clients:
        if not client.node.running:
            client.node.start()
            client.started()
    world.measures["all_at_the_head"] = world.run_until(world.has_spread, within=60.0)
    world.measures["revisions"] = float(len(ground.log))
    bodies = [row["body"] for row in ground.log]
    assert all(node.replica.state == bodies for node in world.nodes), "a replica isn't the log"
    committed = [answer.changeset for write in ledger.writes.values() for answer in write.committed]
    gone = [item for item in committed if item is not None and item.body not in bodies]
    lost = [item for item in gone if item.digest not in ground.lost.rows]
    assert not lost, f"{len(lost)} answered commits are lost, and not by the database"
    assert loses or not ground.lost.rows, "a failover without loss has lost commits"
    world.measures["epochs"] = float(ground.log[-1]["epoch"]) if ground.log else 0.0
    errors = [error for client in clients for error in client.loop.errors]
    assert not errors, errors[0]
    return report(world, "safety", "liveness")


def _harm(
    world: World, ground: PostgresGround, clients: list[AuthorityClient], rng: random.Random
) -> None:
    """One fault: a failover, a node's crash, or whatever else may happen to Postgres."""
    client = rng.choice(clients)
    match rng.randrange(4):
        case 0:
            ground.fail_over(rng.uniform(0.5, 5.0))
        case 1 if client.node.running:
            client.node.crash()
            client.ended()
            world.schedule(rng.uniform(1.0, 8.0), _start, client)
        case _:
            ground.disturb([client.node.name for client in clients])


def _start(client: AuthorityClient) -> None:
    if not client.node.running:
        client.node.start()
        client.started()


def _head(ground: PostgresGround) -> Head:
    rows = ground.log
    if not rows:
        return EMPTY
    last = rows[-1]
    version = (last["epoch"], int.from_bytes(last["tag"], "big"), last["revision"])
    return Head(version, last["chain"])
