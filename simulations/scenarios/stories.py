"""Stories of membership: what happens to a cluster of n nodes, told as a list of operations."""

import math

from gossip.profiles import Profile
from simulations.conditions import (
    all_know_of_the_split,
    anybody_says,
    at_epoch,
    hold,
    nobody_knows_of_a_split,
    nobody_says,
    spread,
    whole,
)
from simulations.operations import (
    Client,
    Crash,
    Cut,
    Double,
    Expect,
    FailOver,
    ForceOut,
    Heal,
    Install,
    Join,
    Leave,
    Mark,
    Operation,
    Partition,
    Pause,
    RestartAll,
    Resume,
    SaveDisk,
    Silence,
    SplitDatabase,
    Start,
    StopFormer,
    SwapAddresses,
    Until,
    Wait,
    Write,
)
from simulations.software import LAST, NEXT

Story = list[Operation]


def crash(n: int, profile: Profile) -> Story:
    """A process is killed: the others find it failed; it comes back with a newer generation."""
    return [
        *formed(n),
        Wait(5.0),
        Crash(-1),
        Mark(),
        *found_failed(n, profile),
        Write(0),
        Start(-1),
        Mark(),
        Until("back", whole, within=30.0),
        Until("caught_up", spread, within=30.0),
    ]


def silence(n: int, profile: Profile) -> Story:
    """A machine loses its power: no kernel says that the port is closed, only silence does."""
    return [
        *formed(n),
        Wait(5.0),
        Silence(-1),
        Mark(),
        *found_failed(n, profile),
        Start(-1),
        Mark(),
        Until("back", whole, within=30.0),
    ]


def partition(n: int, profile: Profile) -> Story:
    """The cluster is cut in two for ten minutes: each side goes on, and they merge again."""
    near, far = range(n // 2), range(n // 2, n)
    return [
        *formed(n),
        Partition([near, far]),
        Wait(600.0),
        Expect("each side holds the other for failed", hold(near, -1, "failed")),
        Write(-1),
        Wait(10.0),
        Heal(),
        Mark(),
        Until("healed", whole, within=60.0),
        Until("caught_up", spread, within=60.0),
    ]


def deaf(n: int, profile: Profile) -> Story:
    """A node hears nothing until it is suspected; it refutes as soon as it hears of that."""
    return [
        *formed(n),
        Cut(range(n - 1), [-1]),
        Mark(),
        *([Until("suspected", anybody_says(-1, "suspect"), within=4.0 * n)] if n > 1 else []),
        Heal(),
        Mark(),
        Until("refuted", whole, within=30.0),
        Wait(60.0),
        Expect("it was never failed", nobody_says(-1, "failed")),
    ]


def no_udp(n: int, profile: Profile) -> Story:
    """UDP to and from a node is blocked, TCP isn't: it is pinged over TCP and stays alive."""
    others = range(n - 1)
    return [
        *formed(n),
        Cut(others, [-1], ["udp"]),
        Cut([-1], others, ["udp"]),
        Wait(120.0),
        Expect("all are alive", whole),
        Expect("it was never failed", nobody_says(-1, "failed")),
    ]


def leave(n: int, profile: Profile) -> Story:
    """A node leaves: all see it left, nobody ever suspects it, and it may come back."""
    return [
        *formed(n),
        Leave(-1),
        Mark(),
        Until("left", hold(range(n - 1), -1, "left"), within=30.0),
        Wait(10.0),
        Expect("nobody took it for failed", nobody_says(-1, "suspect", "failed")),
        Start(-1),
        Mark(),
        Until("back", whole, within=30.0),
    ]


def forced_out(n: int, profile: Profile) -> Story:
    """An operator makes a node leave: all see it left at once, and only a later life is let in."""
    return [
        *formed(n),
        ForceOut(0, -1),
        Mark(),
        Until("out", hold(range(n - 1), -1, "left"), within=5.0),
        Wait(profile.left_ttl + 5.0),
        Expect("it is gone from the listing", hold(range(n - 1), -1, None)),
        Crash(-1),
        Start(-1),
        Mark(),
        Until("back", whole, within=30.0),
    ]


def upgrade(n: int, profile: Profile) -> Story:
    """Node after node restarts with newer software, then with such that has left the first version
    of the protocol behind."""
    story = formed(n)
    for software in (NEXT, LAST):
        for node in range(n):
            story += [Install(node, software), Crash(node), Start(node), Mark()]
            story.append(Until("back", whole, within=30.0))
    return [*story, Write(0), Mark(), Until("caught_up", spread, within=30.0)]


def restart_storm(n: int, profile: Profile) -> Story:
    """All processes die at once and come back at once, three times."""
    return [
        *formed(n),
        RestartAll(apart=0.01),
        Wait(0.01 * n + 0.1),
        Mark(),
        Until("whole_again", whole, within=30.0),
        RestartAll(),
        Wait(1.0),
        RestartAll(),
        Wait(0.1),
        Mark(),
        Until("whole_once_more", whole, within=30.0),
    ]


def old_disk(n: int, profile: Profile) -> Story:
    """A node comes back with a disk from two lives ago: it learns of those and goes beyond."""
    return [
        *formed(n),
        SaveDisk(-1),
        Crash(-1),
        Start(-1),
        Wait(1.0),
        Crash(-1),
        Start(-1),
        Until("known_again", whole, within=30.0),
        Write(0),
        Crash(-1),
        Wait(30.0),
        Start(-1, "saved"),
        Mark(),
        Until("believed", whole, within=30.0),
        Until("caught_up", spread, within=30.0),
    ]


def swapped(n: int, profile: Profile) -> Story:
    """Two nodes come back at each other's address: a node is its id, not its address."""
    return [
        *formed(n),
        SwapAddresses(0, -1),
        Mark(),
        Until("whole_again", whole, within=30.0),
        Wait(60.0),
        Expect("still whole", whole),
    ]


def double(n: int, profile: Profile) -> Story:
    """A copy of a node's disk runs elsewhere for a while; then the original goes on."""
    return [
        *formed(n),
        Double(-1, seconds=20.0, same_generation=False),
        Wait(25.0),
        Mark(),
        Until("whole_again", whole, within=120.0),
    ]


def standstill(n: int, profile: Profile) -> Story:
    """A process stands still for less than a suspicion lasts, and judges nobody when it goes on."""
    return [
        *formed(n),
        Pause(0, kernel_buffer=16),
        Wait(profile.suspicion_mult * profile.probe_interval),
        Resume(0),
        Mark(),
        Until("whole_again", whole, within=30.0),
        Wait(60.0),
        Expect("it failed nobody", nobody_says(-1, "failed")),
    ]


def failover(n: int, profile: Profile) -> Story:
    """The database fails over to a standby that lacks the last commits: one node raises its epoch,
    all follow what is left."""
    return [
        *formed(n),
        *[Write(node) for node in range(n)],
        Write(0),
        Until("spread", spread, within=30.0),
        FailOver(lost=2),
        Mark(),
        Until("followed", at_epoch(2), within=60.0),
        Write(-1),
        Mark(),
        Until("caught_up", spread, within=30.0),
        Expect("nobody has raised twice", at_epoch(2)),
    ]


def split_database(n: int, profile: Profile) -> Story:
    """Two databases take writes at once: one side refuses them until the other database is gone."""
    if n < 2:
        return formed(n)
    old, new = range(n // 2), range(n // 2, n)
    return [
        *formed(n),
        Write(0),
        Until("spread", spread, within=30.0),
        SplitDatabase(new),
        Client(0, accepted=True),
        Mark(),
        Until("known", all_know_of_the_split, within=60.0),
        *[Client(node, accepted=False) for node in old],
        *[Client(node, accepted=True) for node in new],
        StopFormer(),
        Mark(),
        Until("over", nobody_knows_of_a_split, within=60.0),
        Until("followed", at_epoch(2), within=60.0),
        *[Client(node, accepted=True) for node in (*old, *new)],
        Until("caught_up", spread, within=30.0),
    ]


STORIES = (
    crash, silence, partition, deaf, no_udp, leave, forced_out, upgrade, restart_storm,
    old_disk, swapped, double, standstill, failover, split_database,
)  # fmt: skip


def formed(n: int) -> Story:
    """A cluster of n nodes."""
    return [Join(range(n)), Wait(0.1 * n), Until("formed", whole, within=30.0)]


def found_failed(n: int, profile: Profile) -> Story:
    """The others find the last node failed: round-robin gets to it within 2n - 1 probes of each,
    and then it has the longest suspicion at most."""
    if n < 2:
        return []
    longest = profile.suspicion_mult * profile.suspicion_max_mult * max(1.0, math.log10(n))
    bound = (2 * n + longest) * profile.probe_interval
    return [
        Until("first_word", anybody_says(-1, "suspect", "failed"), bound),
        Until("all_say_failed", hold(range(n - 1), -1, "failed"), bound),
    ]
