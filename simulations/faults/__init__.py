"""What can go wrong in a swarm run: each kind of fault as the operations that bring it and end it.

Which kinds a run has, and how often, its seed decides (``swarm``).
"""

from simulations.faults.kind import Fault, Timed
from simulations.faults.machines import (
    clock_step,
    crash,
    double,
    full_disk,
    old_disk,
    power_cut,
    restart_storm,
    stall,
    stutter,
    swap,
    torn_write,
)
from simulations.faults.network import (
    bad_cable,
    broken_pairs,
    clog,
    exile,
    firewall,
    hearsay,
    jury,
    partition,
    rebind,
    storm,
    swizzle,
)
from simulations.faults.operators import (
    force_out,
    leave,
    namesake,
    outage,
    rotation,
    stranger,
    upgrade,
)

__all__ = ["FAULTS", "Fault", "Timed", "exile", "hearsay", "rotation"]

FAULTS: tuple[Fault, ...] = (
    crash, power_cut, old_disk, torn_write, full_disk, stall, stutter, swap, restart_storm,
    double, clock_step,
    partition, jury, hearsay, exile, broken_pairs, swizzle, clog, storm, bad_cable, rebind,
    firewall,
    leave, namesake, stranger, force_out, upgrade, rotation, outage,
)  # fmt: skip
