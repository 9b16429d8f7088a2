"""The rows of DESIGN 10 as stories of whole nodes: what goes wrong, and what is seen then."""

from collections.abc import Callable, Sequence
from typing import cast

from gossip.keyring import configured
from gossip.profiles import Profile
from simulations.conditions import hold, nobody_knows_of_a_split, nobody_says, whole
from simulations.operations import (
    AuthorityAway,
    Crash,
    Expect,
    Fence,
    FillDisk,
    Heal,
    Join,
    Mark,
    Name,
    Operation,
    Partition,
    Pause,
    Resume,
    Silence,
    Start,
    StepWallClock,
    Until,
    Wait,
    perform,
)
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.whole.conditions import (
    all_serve,
    both_refuse,
    called,
    counted_by_all,
    happened,
    holds_the_head,
    listens,
    revisions,
    serves,
    workers_left_alone,
)
from simulations.whole.node import POLL_SECONDS
from simulations.whole.operations import (
    Attack,
    ClientWrites,
    DamageReplica,
    Follow,
    Lie,
    LoseAtCommit,
    Request,
    SplitTheDatabase,
    StopLying,
    StopOneDatabase,
)
from simulations.whole.world import WholeWorld

Story = list[Operation]
_FOUND_SECONDS = 1.5 * POLL_SECONDS + 1.0
"""Within which somebody looks at the authority, and all have what is found there."""


def database_down_at_start(n: int, profile: Profile) -> Story:
    """Postgres is down: one node starts from its replica file, one from its peers; writes are
    refused until it is back."""
    return [
        *begun(n),
        AuthorityAway(),
        Crash(-1),
        Start(-1),
        Mark(),
        Until("from_file", serves(-1), within=30.0),
        Crash(-1),
        Start(-1, "empty"),
        Mark(),
        *([Until("from_peers", serves(-1), within=30.0)] if n > 1 else []),
        *[ClientWrites(node, expected="refused") for node in range(n)],
        AuthorityAway(away=False),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Mark(),
        Until("served", all_serve, within=30.0),
    ]


def no_seed_answers(n: int, profile: Profile) -> Story:
    """A node that reaches nobody, the database included, serves what its disk holds; it finds the
    others by itself once they are there."""
    return [
        *begun(n),
        AuthorityAway(),
        Partition([range(n - 1), [-1]]),
        Crash(-1),
        Start(-1),
        Mark(),
        Until("alone", serves(-1), within=30.0),
        *requests(-1),
        Wait(30.0),
        Heal(),
        AuthorityAway(away=False),
        Mark(),
        Until("joined", whole, within=60.0),
        ClientWrites(0, expected="committed"),
        Until("served", all_serve, within=30.0),
    ]


def killed_mid_write(n: int, profile: Profile) -> Story:
    """A process dies between its commit and the push: the others find it within 1.5 intervals."""
    return [
        *begun(n),
        LoseAtCommit("killed"),
        ClientWrites(-1, expected="unknown"),
        Expect("it was committed", revisions(n + 1)),
        Mark(),
        *([Until("found", all_serve, within=_FOUND_SECONDS)] if n > 1 else []),
        Start(-1),
        Until("back", all_serve, within=30.0),
    ]


def supervisor_killed(n: int, profile: Profile) -> Story:
    """The process that feeds a node's worker is killed: the worker notices and ends, so that
    nothing stale goes on being served; the next process serves what was written since."""
    return [
        *begun(n),
        *requests(-1),
        Crash(-1),
        Expect("its worker knows nothing of it yet", workers_left_alone(1)),
        Mark(),
        Until("ended", workers_left_alone(0), within=0.1),
        *[ClientWrites(node, expected="committed") for node in range(n - 1)],
        Wait(2.0),
        Start(-1),
        Mark(),
        Until("back", all_serve, within=30.0),
        *requests(-1),
        Wait(6.0),
    ]


def commit_unknown(n: int, profile: Profile) -> Story:
    """The connection is lost in COMMIT, which happened or didn't: the answer is that this isn't
    known, and what happened is served everywhere. (With a retry: ``writers``.)"""
    return [
        *begun(n),
        LoseAtCommit("undone"),
        ClientWrites(0, expected="unknown"),
        Expect("nothing was committed", revisions(n)),
        LoseAtCommit("done"),
        ClientWrites(0, expected="unknown"),
        Expect("it was committed", revisions(n + 1)),
        Mark(),
        Until("found", all_serve, within=_FOUND_SECONDS),
        ClientWrites(0, expected="committed"),
        Until("served", all_serve, within=5.0),
    ]


def replica_damaged(n: int, profile: Profile) -> Story:
    """A replica file can't be read: it is set aside at the start, and filled anew."""
    return [
        *begun(n),
        DamageReplica(-1),
        *requests(-1),
        Crash(-1),
        Start(-1),
        Expect("it was set aside", happened("replica_set_aside")),
        Mark(),
        Until("filled", all_serve, within=30.0),
        *requests(-1),
    ]


def disk_full(n: int, profile: Profile) -> Story:
    """A disk is full: the node goes on in memory, and its file is written once there is room."""
    return [
        *begun(n),
        FillDisk(-1),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Mark(),
        Until("served", all_serve, within=5.0),
        *requests(-1),
        Wait(10.0),
        Expect("the file couldn't be written", happened("replica_unwritten")),
        FillDisk(-1, full=False),
        Wait(10.0),
        AuthorityAway(),
        Crash(-1),
        Start(-1),
        Mark(),
        Until("from_file", serves(-1), within=30.0),
    ]


def two_names(n: int, profile: Profile) -> Story:
    """A node takes the name of another one: while both live one goes on as name~xxxx; of a dead
    one it gets it."""
    if n < 2:
        return begun(n)
    return [
        *begun(n),
        Crash(-1),
        Name(-1, 0),
        Start(-1),
        Mark(),
        Until("renamed", called(-1, "~"), within=60.0),
        Crash(-1),
        Silence(0),
        Start(-1),
        Wait(5.0),
        Expect("the dead one's name is its", called(-1, "node-0")),
        Expect("it has it alone", lambda world: "~" not in world.nodes[-1].called),
    ]


def two_databases(n: int, profile: Profile) -> Story:
    """A node of another authority calls: both sides refuse each other, and say so."""
    if n < 2:
        return begun(n)
    return [
        Join(range(n - 1)),
        Wait(0.1 * n + 1.0),
        *[Follow(node, "authority-1") for node in range(n - 1)],
        Wait(2.0),
        Join([-1]),
        Wait(0.001),
        Follow(-1, "authority-2"),
        Mark(),
        Until("refused", both_refuse, within=60.0),
        Until("unlisted", hold(range(n - 1), -1, None), within=60.0),
    ]


def split_authority(n: int, profile: Profile) -> Story:
    """Postgres is split in two: one side goes on taking writes, the other refuses them, both
    serve; when one is gone, all follow the other."""
    if n < 2:
        return begun(n)
    new = tuple(range(n // 2, n))
    return [
        *begun(n),
        SplitTheDatabase(new),
        ClientWrites(0, expected="committed"),
        Mark(),
        Until("known", happened("split_known"), within=90.0),
        Wait(15.0),
        *[ClientWrites(node, expected="refused") for node in range(n // 2)],
        *[ClientWrites(node, expected="committed") for node in new],
        *[Expect(f"node {node} serves", listens(node)) for node in range(n)],
        StopOneDatabase(),
        Mark(),
        Until("over", nobody_knows_of_a_split, within=60.0),
        Until("followed", all_serve, within=90.0),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Until("served", all_serve, within=30.0),
    ]


def wrong_key(n: int, profile: Profile) -> Story:
    """Somebody without the key sends what he has seen and what he has made, for a minute: all of
    it is refused and counted."""
    return [
        *begun(n),
        Attack(gap=0.02),
        Wait(30.0),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Wait(30.0),
        Expect("all have refused some", counted_by_all("dropped_clear", "dropped_unknown_key")),
        Mark(),
        Until("served", all_serve, within=5.0),
        Expect("nobody was taken for failed", nobody_says(0, "failed")),
    ]


def lying_member(n: int, profile: Profile) -> Story:
    """A member that holds the key lies for a minute: changesets with wrong digests, heads, states
    and fences that don't exist, a log and a state that are damaged. The others go on taking writes
    and serving them; nobody holds or serves what nobody has written; one that is empty fills itself
    while the database is away; and when the lies end, nothing is left of them."""
    honest = range(n - 1)
    if n < 2:
        return begun(n)
    return [
        *begun(n),
        Lie(-1, gap=0.02),
        *[one for _ in range(8) for one in _amid_lies(honest)],
        Expect("lies were told", lambda world: cast("WholeWorld", world).lies_told() > 1_000),
        Expect(
            "wrong digests were refused",
            counted_by_all("changesets_corrupt", "changesets_forked", but=-1),
        ),
        Expect("so were wrong fences", counted_by_all("fence_answers_unexpected", but=-1)),
        *(_filled_amid_lies() if n > 2 else []),
        StopLying(),
        Mark(),
        Until("well_again", all_serve, within=60.0),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Until("served", all_serve, within=5.0),
        Expect("nobody was taken for failed", nobody_says(1, "failed")),
        Wait(10.0),
        Expect("all hold the same", all_serve),
    ]


def _amid_lies(honest: Sequence[int]) -> Story:
    writes = [ClientWrites(node, expected="committed") for node in honest]
    fences = [Fence(node, 2.0) for node in honest]
    served = Until("served_amid_lies", serves(*honest), within=10.0)
    return [Mark(), *writes, *fences, served, Wait(5.0)]


def _filled_amid_lies() -> Story:
    return [
        StopLying(),
        Wait(1.0),
        AuthorityAway(),
        Lie(-1, gap=0.02, raising=False),
        Crash(0),
        Start(0, "empty"),
        Mark(),
        Until("filled_amid_lies", holds_the_head(0), within=60.0),
        AuthorityAway(away=False),
    ]


def garbage(n: int, profile: Profile) -> Story:
    """Random bytes by packet and by stream, without any key in the cluster: dropped and counted."""
    return [
        *begun(n),
        Attack(gap=0.02, garbage_only=True),
        Wait(30.0),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Wait(5.0),
        Expect("all have dropped some", counted_by_all("dropped_garbage")),
        Expect("all serve", all_serve),
    ]


def clock_jumps(n: int, profile: Profile) -> Story:
    """Wall clocks jump, and a process stands still: nobody is taken for dead, and nothing depends
    on the order of clocks."""
    return [
        *begun(n),
        *[StepWallClock(node, 1e6 * (-1) ** node) for node in range(n)],
        Pause(0),
        Wait(profile.suspicion_mult * profile.probe_interval),
        Resume(0),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Mark(),
        Until("served", all_serve, within=10.0),
        Wait(30.0),
        Expect("nobody failed", nobody_says(-1, "failed")),
    ]


def cut_in_two(n: int, profile: Profile) -> Story:
    """The network is cut in two, both sides reach the database: each serves and takes writes, and
    they merge by themselves."""
    near, far = range(n // 2), range(n // 2, n)
    return [
        *begun(n),
        Partition([near, far]),
        Wait(60.0),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Mark(),
        Until("served", all_serve, within=_FOUND_SECONDS + 10.0),
        Heal(),
        Mark(),
        Until("healed", whole, within=60.0),
        ClientWrites(0, expected="committed"),
        Until("served_by_all", all_serve, within=10.0),
    ]


STORIES = (
    database_down_at_start, no_seed_answers, killed_mid_write, commit_unknown, replica_damaged,
    disk_full, two_names, two_databases, split_authority, supervisor_killed, wrong_key, garbage,
    lying_member, clock_jumps, cut_in_two,
)  # fmt: skip
_SEALED = (wrong_key, lying_member)


def begun(n: int) -> Story:
    """A cluster of n nodes, each of which has taken a write."""
    return [
        Join(range(n)),
        Wait(0.1 * n),
        Until("formed", whole, within=30.0),
        *[ClientWrites(node, expected="committed") for node in range(n)],
        Until("served_at_first", all_serve, within=30.0),
        Wait(6.0),
    ]


def requests(node: int) -> Story:
    """Each key is shown there."""
    return [Request(node, word, word % 4) for word in range(6)]


def told(story: Callable[[int, Profile], Story]) -> Callable[[int, int, Settings], Report]:
    """A scenario that lives through a story."""

    def scenario(nodes: int, seed: int, settings: Settings) -> Report:
        profile = settings.profile()
        keyring = configured(bytes(range(32))) if story in _SEALED else None
        world = WholeWorld(nodes, seed, profile, settings.link(), keyring, skewed=True)
        settings.check_used()
        world.checks.begin_audits()
        for operation in story(nodes, profile):
            perform(operation, world)
        world.promises.p1_nothing_lost()
        return report(world, "safety", "liveness")

    scenario.__doc__ = story.__doc__
    return scenario
