"""What goes wrong with a database's schema (DESIGN 10): whole nodes over the real SQLite."""

import random

from node.cli.attempts import Attempts
from simulations.authority.grounds import SqliteGround
from simulations.authority.ledger import Ledger
from simulations.authority.migrating import MigrationsCommand
from simulations.authority.sqlite import SqliteFile
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.whole.configuration import SERVICES, entity_id
from simulations.whole.engines import all_serve, tie
from simulations.whole.world import WholeWorld
from store.authority import Put

_TIMEOUT_SECONDS = 60.0
"""``--db-timeout``."""
_FOUND_SECONDS = 10.0
"""Within which a node finds that its database can be used: it looks twice a second."""


class _Place:
    """A cluster, and the file that is to be its authority."""

    def __init__(self, nodes: int, seed: int, settings: Settings) -> None:
        profile, link = settings.profile(), settings.link()
        settings.check_used()
        self.world = world = WholeWorld(nodes, seed, profile, link, skewed=True)
        rng = random.Random(seed)
        self.file = SqliteFile(world.clock, rng)
        self.clients = tie(world, SqliteGround(world.clock, rng, self.file), Ledger())
        self.last = world.whole_nodes[-1]

    def write(self, index: int) -> None:
        """A client writes through a node."""
        fields = {"name": f"s{index}", "host": "10.1.1.1"}
        self.clients[index].write([Put(SERVICES, entity_id(SERVICES, index), fields)])

    def expect_told(self, what: str, *indices: int) -> None:
        """Writers through these nodes (all, when none are named) are told what to type."""
        for index in indices or range(len(self.clients)):
            reason = self.clients[index].reason
            assert what in reason, f"P5: node {index} says '{reason}', not '{what}'"

    def listening(self) -> int:
        """Whose workers accept connections."""
        agents = [node.application.agent for node in self.world.whole_nodes if node.running]
        return sum(agent.process is not None and agent.process.listening for agent in agents)

    def until_all_take_writes(self, measure: str) -> None:
        """By themselves, and without a restart."""
        world, begun = self.world, self.world.now
        lives = [node.life for node in world.nodes]
        world.run_until(
            lambda: not any(client.reason for client in self.clients),
            _FOUND_SECONDS,
            "no use of the database",
        )
        due = len(self.file.log()) + len(lives)
        for index in range(len(self.clients)):
            self.write(index)
        world.run_until(lambda: len(self.file.log()) == due, 10.0, "no commits")
        world.run_until(all_serve(world), 10.0, "no service")
        assert [node.life for node in world.nodes] == lives, "a process has ended meanwhile"
        world.measures[measure] = world.now - begun


def schema_missing(nodes: int, seed: int, settings: Settings) -> Report:
    """The schema is missing, and later older than the software that starts: nodes stay up, say what
    to type, serve what they hold, if anything, and go on by themselves once it is there."""
    place = _Place(nodes, seed, settings)
    world, file, last = place.world, place.file, place.last
    world.form()
    world.run(30.0)
    place.expect_told("grapevine migrations bootstrap")
    assert place.listening() == 0, "P2: somebody serves what nobody has written"
    file.bootstrap()
    place.until_all_take_writes("bootstrapped")
    world.run(6.0)
    file.sql("UPDATE authority SET schema_version = schema_version - 9")
    last.crash()
    last.start()
    world.run_until(all_serve(world), 10.0, "no service from the replica file")
    world.run(2.0)
    place.expect_told("grapevine migrations up", nodes - 1)
    file.sql("UPDATE authority SET schema_version = schema_version + 9")
    place.until_all_take_writes("migrated")
    world.promises.p4_all_alike(world.whole_nodes)
    return report(world, "safety", "liveness")


def migrations_retried(nodes: int, seed: int, settings: Settings) -> Report:
    """`migrations bootstrap` while the database can't be reached: it is tried again with pauses,
    given up after its time with the reason, and done when the database comes back in time."""
    place = _Place(nodes, seed, settings)
    world, file = place.world, place.file
    world.form()
    file.broken = "unable to open database file"
    begun = world.now
    given_up = _command(world, file)
    world.run_until(given_up.task.done, _TIMEOUT_SECONDS, "no end of a command")
    world.measures["given_up"] = world.now - begun
    assert file.broken in given_up.task.result(), given_up.task.result()
    assert given_up.attempts > 10, f"given up after {given_up.attempts} attempts"
    assert place.listening() == 0
    waits = _command(world, file)
    world.run(random.Random(seed).uniform(0.0, 50.0))
    assert not waits.task.done(), waits.task.result()
    file.broken = ""
    begun = world.now
    world.run_until(waits.task.done, 6.0, "no bootstrap")
    world.measures["made"] = world.now - begun
    assert waits.task.result() == "", waits.task.result()
    place.until_all_take_writes("served")
    world.promises.p4_all_alike(world.whole_nodes)
    return report(world, "safety", "liveness")


def _command(world: WholeWorld, file: SqliteFile) -> MigrationsCommand:
    return MigrationsCommand(world.clock, file, Attempts(_TIMEOUT_SECONDS, world.now).pause)
