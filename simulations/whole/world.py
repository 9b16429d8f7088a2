"""The world of whole nodes."""

from typing import cast

from gossip.address import Address
from gossip.keyring import Keyring
from gossip.profiles import Profile
from simulations.links import Link
from simulations.node import Node
from simulations.whole.authority import EntityAuthority
from simulations.whole.hostile import Hostile
from simulations.whole.insider import Insider
from simulations.whole.node import WholeNode
from simulations.whole.promises import Promises
from simulations.whole.served import ServedReplica
from simulations.whole.truth import Truth
from simulations.whole.worker import WorkerProcess
from simulations.world import World
from store.limits import SKETCH_SYMBOLS_MAX


class WholeWorld(World):
    """See ``simulations.whole``."""

    node_type = WholeNode
    authority: EntityAuthority

    def __init__(
        self,
        nodes: int,
        seed: int,
        profile: Profile,
        link: Link | None = None,
        keyring: Keyring | None = None,
        *,
        skewed: bool = False,
        symbols_max: int = SKETCH_SYMBOLS_MAX,
    ) -> None:
        self.hostile: Hostile | None = None
        self.insider: Insider | None = None
        self._workers: list[WorkerProcess] = []
        super().__init__(
            nodes, seed, profile, link, keyring, skewed=skewed,
            new_replica=lambda: ServedReplica(symbols_max=symbols_max),
        )  # fmt: skip
        self.truth = Truth()
        self.authority = EntityAuthority(self.truth)
        self.checks = self.promises = Promises(self)

    @property
    def whole_nodes(self) -> list[WholeNode]:
        return cast("list[WholeNode]", self.nodes)

    def lies_told(self) -> int:
        """By the member that lies, or lied last."""
        return 0 if self.insider is None else self.insider.told

    def workers_now(self) -> list[WorkerProcess]:
        """The worker processes that run, whether or not their agents do."""
        self._workers = [worker for worker in self._workers if not worker.ended]
        return self._workers

    def authority_of(self, node: Node) -> EntityAuthority:
        return cast("EntityAuthority", super().authority_of(node))

    def authorities(self) -> list[EntityAuthority]:
        """All that there are now."""
        others = cast("list[EntityAuthority]", list(self.databases.values()))
        return list(dict.fromkeys([self.authority, *others]))

    def poll_in_turn(self) -> None:
        """Whole nodes take their own turns."""

    def transmit(self, sender: Node, address: Address, data: bytes) -> None:
        if self.hostile is not None:
            self.hostile.sees(sender, address, data)
        super().transmit(sender, address, data)
