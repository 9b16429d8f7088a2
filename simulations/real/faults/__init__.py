"""What can be done to the cluster, each kind declared once."""

from simulations.real.faults.authority import (
    old_primary_back,
    postgres_backend_kill,
    postgres_kill_in_commit,
    postgres_pause,
    postgres_stop,
    promote,
    promote_with_loss,
    restore,
    split_brain,
)
from simulations.real.faults.kind import Fault
from simulations.real.faults.network import (
    database_cut,
    partition,
    partition_tcp,
    partition_udp,
    storm,
)
from simulations.real.faults.nodes import (
    clock_step,
    disk_full,
    node_kill,
    node_pause,
    reload,
    restart,
    supervisor_kill,
    supervisor_pause,
    worker_kill,
    worker_pause,
)

__all__ = ["FAULTS", "Fault"]

FAULTS: tuple[Fault, ...] = (
    worker_kill, supervisor_kill, node_kill, restart, reload, worker_pause, supervisor_pause,
    node_pause, disk_full, clock_step,
    storm, partition, partition_udp, partition_tcp, database_cut,
    postgres_stop, postgres_pause, postgres_kill_in_commit, postgres_backend_kill, promote,
    promote_with_loss, restore, split_brain, old_primary_back,
)  # fmt: skip
