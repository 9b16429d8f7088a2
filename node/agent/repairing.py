"""What is wrong with the replica, and what is done about it (DESIGN 5).

What peers' logs don't lead to is read from the authority's log or, where that doesn't reach either,
from a peer's state. A replica that is damaged is replaced by a peer's; only where no peer can help,
or nobody knows who is right, is the authority's whole state read. Meanwhile the node serves what it
has, its last good state, and says what is wrong.
"""

import asyncio
from collections.abc import Callable

from gossip.events import Behind, StateDiffers
from node import logs
from node.agent.authority_link import AuthorityLink, CantFollow
from node.agent.limits import PEERS_PATIENCE_SECONDS
from node.agent.membership import Membership
from node.agent.serving import Serving
from store.errors import AuthorityUnavailable
from store.version import Version

log = logs.get("replica")


class Repairing:
    """``look()`` has the authority read now."""

    def __init__(
        self,
        link: AuthorityLink,
        serving: Serving,
        membership: Membership,
        look: Callable[[], None],
    ) -> None:
        self.problem = ""
        """What is wrong with the replica; empty when nothing is known to be."""
        self._link = link
        self._serving = serving
        self._membership = membership
        self._look = look
        self._stuck_below: Version | None = None
        """The version that couldn't be applied here."""
        self._damaged = False
        self._outcome: asyncio.Future[bool] | None = None
        """What comes of asking peers, for whoever waits for it."""
        self._verifying: asyncio.Task[None] | None = None
        self._verified = 0

    # What gossip tells

    def behind(self, event: Behind) -> None:
        """Peers hold a newer state and can't lead this node there change by change."""
        if event.reason == "poison":
            version = Version(*event.version)
            self._stuck_below = max(version, self._stuck_below or version)
            self._say(f"changeset {version} can't be applied here")
            # The state that it led to may be one that can be taken.
            self._membership.fetch_snapshot()
            return
        log.info("peers can't bring this node up to date", version=event.version, why=event.reason)
        if event.reason == "forked" and self._link.reachable:
            self._link.histories.heard()
        if self._link.reachable and event.reason != "distant":
            self._look()
        else:
            self._membership.fetch_snapshot()

    def differs(self, event: StateDiffers) -> None:
        """Another state was found at the same head, and this node may be the damaged one."""
        version, member = Version(*event.version), event.member
        if event.verdict == "damaged":
            self.damaged(f"what is held isn't what it was at {version}")
        elif self._link.reachable:
            log.warning("members hold another state", version=version, member=member)
            self._verify()
        elif event.verdict == "outvoted":
            self.damaged(f"most members hold another state at {version}")
        else:
            self._say(
                f"member {member} holds another state at {version}; it isn't known whose fits"
            )

    def damaged(self, reason: str) -> None:
        """What is held here isn't to be trusted: have it replaced."""
        self._damaged = True
        self._say(f"damaged: {reason}; being replaced")
        if not self._membership.fetch_snapshot(damaged=True) and self._link.reachable:
            self._verify()

    def installed(self) -> None:
        """The replica has come to a peer's state."""
        self._damaged = False
        self._settle(True)
        self._clear()

    def failed(self, reason: str) -> None:
        """No peer's state could be taken."""
        log.warning("no peer could give its state", reason=reason)
        self._settle(False)
        if self._damaged and self._link.reachable:
            self._verify()

    def moved(self) -> None:
        """A changeset was applied."""
        if self.problem and not self._damaged:
            self._clear()

    # What following the authority tells

    def cant_follow(self, reason: str) -> None:
        """What the authority holds can't be taken over here."""
        self._say(reason)

    async def from_peers(self) -> bool:
        """Come to a peer's state, as no log leads on; False when none could be taken in time."""
        if not self._membership.fetch_snapshot():
            return False
        outcome = self._outcome
        if outcome is None or outcome.done():
            outcome = self._outcome = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(asyncio.shield(outcome), PEERS_PATIENCE_SECONDS)
        except TimeoutError:
            return False

    def counters(self) -> dict[str, int]:
        """Whole states read at the authority to compare."""
        return {"replica_verifications": self._verified}

    # What is done

    def _verify(self) -> None:
        if self._verifying is None or self._verifying.done():
            self._verifying = asyncio.create_task(self._compare())

    async def _compare(self) -> None:
        self._verified += 1
        try:
            # Of what is damaged in memory, the hash that is kept says nothing.
            well = not self._damaged and await self._link.verify()
            if self._damaged:
                await self._link.reload()
        except AuthorityUnavailable as error:
            log.warning("the authority can't say whose state fits", reason=str(error))
            return
        except CantFollow as error:
            self._say(str(error))
            return
        if well:
            log.notice("this node holds what the authority does", at=self._serving.version)
        else:
            log.error("this node's state was replaced: it wasn't the authority's")
        self._damaged = False
        self._membership.state_confirmed()
        self._clear()

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            log.error(
                "the replica isn't as it should be; serving its last good state",
                problem=problem,
                at=self._serving.version,
            )
            self.problem = problem

    def _clear(self) -> None:
        stuck = self._stuck_below is not None and self._serving.version < self._stuck_below
        if self.problem and not stuck:
            log.notice("the replica is as it should be", at=self._serving.version)
            self.problem = ""
        if not stuck:
            self._stuck_below = None

    def _settle(self, outcome: bool) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(outcome)
