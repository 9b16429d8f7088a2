"""What a simulated node keeps on its disk, and what a power cut leaves of it."""

from dataclasses import dataclass, field

from gossip.address import Address
from gossip.keyring import Keyring
from simulations.authority import LogReplica


@dataclass(slots=True)
class Disk:
    """Survives the process. ``snapshot`` is a copy as a backup or an old image holds it."""

    generation: int = 0
    incarnation: int = 1
    keyring: Keyring | None = None
    peers: dict[str, Address] = field(default_factory=dict)
    """Where the other members were, by node id: asked again at the next start."""
    replica: LogReplica = field(default_factory=LogReplica)

    def snapshot(self) -> "Disk":
        return Disk(
            self.generation, self.incarnation, self.keyring, dict(self.peers), self.replica.copy()
        )
