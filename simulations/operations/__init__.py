"""What can be done to a world: the words that scenarios and swarm runs are written in.

An operation is a value that prints as what it does, and is called with the world to do it. Nodes
are named by index, from the end when negative. What makes no sense at the moment (to crash a node
that doesn't run) does nothing, so any list of operations is a valid one, also after some were
deleted from it.
"""

from simulations.operations.databases import Client, FailOver, SplitDatabase, StopFormer
from simulations.operations.network import (
    Clog,
    Cut,
    Heal,
    HideRefusals,
    Mend,
    Partition,
    Rebind,
    SetLink,
    SetOwnLink,
)
from simulations.operations.operation import Expect, Mark, Operation, Until, Wait, perform
from simulations.operations.operators import (
    AuthorityAway,
    Fence,
    ForceOut,
    Install,
    Leave,
    Name,
    Purge,
    Rotate,
    SetRegister,
    Write,
)
from simulations.operations.processes import (
    SMALL_FILES,
    Crash,
    Damage,
    Double,
    FillDisk,
    Join,
    Pause,
    RestartAll,
    Resume,
    SaveDisk,
    Silence,
    SlowDisk,
    Start,
    StepWallClock,
    Stranger,
    SwapAddresses,
)

__all__ = [
    "SMALL_FILES",
    "AuthorityAway",
    "Client",
    "Clog",
    "Crash",
    "Cut",
    "Damage",
    "Double",
    "Expect",
    "FailOver",
    "Fence",
    "FillDisk",
    "ForceOut",
    "Heal",
    "HideRefusals",
    "Install",
    "Join",
    "Leave",
    "Mark",
    "Mend",
    "Name",
    "Operation",
    "Partition",
    "Pause",
    "Purge",
    "Rebind",
    "RestartAll",
    "Resume",
    "Rotate",
    "SaveDisk",
    "SetLink",
    "SetOwnLink",
    "SetRegister",
    "Silence",
    "SlowDisk",
    "SplitDatabase",
    "Start",
    "StepWallClock",
    "StopFormer",
    "Stranger",
    "SwapAddresses",
    "Until",
    "Wait",
    "Write",
    "perform",
]
