"""Processes that die or stand still, machines and disks that fail."""

import random

from simulations.faults.kind import Timed, duration
from simulations.operations import (
    SMALL_FILES,
    Crash,
    Damage,
    Double,
    FillDisk,
    Operation,
    Pause,
    RestartAll,
    Resume,
    SaveDisk,
    Silence,
    SlowDisk,
    Start,
    StepWallClock,
    SwapAddresses,
)


def crash(rng: random.Random, nodes: int) -> list[Timed]:
    """A process dies and comes back."""
    node = rng.randrange(nodes)
    return [(0.0, Crash(node)), (duration(rng), Start(node, rng.choice(["same", "empty"])))]


def power_cut(rng: random.Random, nodes: int) -> list[Timed]:
    """A machine falls silent, with unwritten changes, and comes back."""
    node = rng.randrange(nodes)
    return [(0.0, Silence(node, rng.choice([0, 0, 1, 5]))), (duration(rng), Start(node))]


def old_disk(rng: random.Random, nodes: int) -> list[Timed]:
    """A node comes back with a disk from before."""
    node = rng.randrange(nodes)
    lives = [(1.0, Crash(node)), (2.0, Start(node))] * rng.randrange(2)
    saved = 3.0 + duration(rng)
    begin: list[Timed] = [(0.0, SaveDisk(node)), *lives]
    return [*begin, (saved, Crash(node)), (saved + duration(rng), Start(node, "saved"))]


def torn_write(rng: random.Random, nodes: int) -> list[Timed]:
    """A process dies, or a machine loses its power, while its slow disk writes; a disk that lies
    keeps neither the old content nor the new."""
    node = rng.randrange(nodes)
    slow = SlowDisk(node, rng.choice([0.05, 1.0, 10.0]))
    at = duration(rng)
    back = at + duration(rng)
    end: Operation = rng.choice([Crash(node), Silence(node)])
    timed: list[Timed] = [(0.0, slow), (at, end)]
    if rng.random() < 0.5:
        timed.append((back, Damage(node, rng.choice(SMALL_FILES))))
    return [*timed, (back, Start(node)), (back, SlowDisk(node, 0.005))]


def full_disk(rng: random.Random, nodes: int) -> list[Timed]:
    """What a node keeps can't be written for a while, in which it may have to start again."""
    node = rng.randrange(nodes)
    at, end = duration(rng) / 2, duration(rng)
    timed: list[Timed] = [(0.0, FillDisk(node))]
    if rng.random() < 0.7:
        timed += [(at, Crash(node)), (at + duration(rng) / 2, Start(node))]
    return [*timed, (at + end, FillDisk(node, full=False))]


def stall(rng: random.Random, nodes: int) -> list[Timed]:
    """A process stands still; its kernel's buffer holds all, little, or nothing."""
    node = rng.randrange(nodes)
    buffer = rng.choice([0, 2, 16, 256])
    return [(0.0, Pause(node, buffer)), (duration(rng), Resume(node))]


def stutter(rng: random.Random, nodes: int) -> list[Timed]:
    """A process stands still again and again."""
    node = rng.randrange(nodes)
    stop, go = rng.uniform(0.1, 4.0), rng.uniform(0.05, 2.0)
    timed: list[Timed] = []
    for turn in range(rng.randrange(2, 8)):
        begin = turn * (stop + go)
        timed += [(begin, Pause(node)), (begin + stop, Resume(node))]
    return timed


def swap(rng: random.Random, nodes: int) -> list[Timed]:
    """Two nodes come back at each other's address."""
    return [(0.0, SwapAddresses(rng.randrange(nodes), rng.randrange(nodes)))]


def restart_storm(rng: random.Random, nodes: int) -> list[Timed]:
    """All processes restart at once, or nearly."""
    return [(0.0, RestartAll(rng.choice([0.0, 0.01, 1.0])))]


def double(rng: random.Random, nodes: int) -> list[Timed]:
    """A copy of a node runs elsewhere for a while."""
    node = rng.randrange(nodes)
    return [(0.0, Double(node, rng.uniform(1.0, 30.0), rng.random() < 0.5))]


def clock_step(rng: random.Random, nodes: int) -> list[Timed]:
    """A wall clock jumps."""
    return [(0.0, StepWallClock(rng.randrange(nodes), rng.uniform(-1e6, 1e6)))]
