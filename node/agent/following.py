"""Keeps the replica at the newest state that this node can get, and says when to serve it.

With the authority: its log is read when nobody in the cluster has looked for too long, and whenever
peers can't help. Without it: what peers hold, by changesets and else as a whole.

A state is served once the authority has confirmed it or, with the authority away, once no live
member is known to hold a newer one (DESIGN 5, start rule). What the disk held at the start is
served when nobody is there who could hold a newer one: at once when nobody is known, else after
some silence. Until then the proxy's ports refuse, and a balancer goes elsewhere; a stale state
never serves beside fresher neighbours.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

from node import logs
from node.agent.authority_link import AuthorityLink, CantFollow
from node.agent.limits import (
    AUTHORITY_RETRY_SECONDS,
    CANT_FOLLOW_SECONDS,
    EPOCH_SPREAD_SECONDS,
    LISTEN_PATIENCE_SECONDS,
    LISTENERS_LOOK_SECONDS,
    SILENCE_LOOK_SECONDS,
    SILENCE_SECONDS,
)
from node.agent.membership import Membership
from node.agent.serving import Serving
from store.errors import AuthorityUnavailable
from store.poll import Poll
from store.version import GENESIS

log = logs.get("node")


class Following:
    """``may_serve()`` is called once, when the state held here may be served."""

    def __init__(
        self,
        link: AuthorityLink,
        serving: Serving,
        membership: Membership,
        poll: Poll,
        rng: random.Random,
        may_serve: Callable[[], None],
    ) -> None:
        self._link = link
        self._serving = serving
        self._membership = membership
        self._poll = poll
        self._rng = rng
        self._may_serve = may_serve
        self.on_stuck: Callable[[str], None] = lambda reason: None
        """Told whenever what the authority holds can't be taken over here, with the reason."""
        self.served = False
        """Whether ``may_serve`` was called."""
        self._looks = False
        """Whether what peers hold is going to be looked at in this turn."""
        self._wake = asyncio.Event()
        self._sought: tuple[int, int, int] = GENESIS
        """The newest version of a higher epoch that members follow."""

    async def serve_in_silence(
        self,
        asked: Callable[[], bool],
        is_known: Callable[[], bool],
        look: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Serve what was kept on disk once that is all there is; returns when something is served.

        ``asked()`` tells whether those that are known have been asked, or can't be; ``is_known()``
        whether there is anybody to ask. ``look`` is for a cluster without a database: it is called
        once what the others hold is known, and what there is then is served, be it nothing.
        """
        silent_since: float | None = None
        while not self.served:
            now = time.monotonic()
            others_hold_something = self._membership.newest_head() not in (None, GENESIS)
            if self._link.reachable or not asked() or others_hold_something:
                silent_since = None
            elif silent_since is None:
                silent_since = now
            patience = SILENCE_SECONDS if is_known() else 0.0
            if silent_since is not None and now - silent_since >= patience:
                if look is not None:
                    await look()
                    look = None
                    self._serve()
                elif self._serving.loaded:
                    log.notice(
                        "serving what this node's disk holds; the authority is away and nobody else"
                        " answers",
                        at=self._serving.version,
                    )
                    self._serve()
            if not self.served:
                await asyncio.sleep(SILENCE_LOOK_SECONDS)
        if look is not None:
            await look()

    def serve_alone(self) -> None:
        """Nobody is known who could hold anything newer than what was kept on disk."""
        log.notice("serving what this node's disk holds; the authority is away, nobody else known")
        self._serve()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            if not self._link.reachable:
                await self._link.keep_open()
            try:
                await self._link.catch_up()
            except AuthorityUnavailable:
                await asyncio.sleep(AUTHORITY_RETRY_SECONDS * (1 + self._rng.random() / 2))
                continue
            except CantFollow as error:
                self.on_stuck(str(error))
                await asyncio.sleep(CANT_FOLLOW_SECONDS * (1 + self._rng.random() / 2))
                continue
            self._serve()
            if self._link.reachable and self._sought[:2] > self._serving.version[:2]:
                # The authority answers, and knows nothing of that epoch.
                self._link.histories.heard()
            self._sought = GENESIS
            await self._until_a_look_is_due()

    def heard_epoch(self, version: tuple[int, int, int]) -> None:
        """Members follow a higher epoch: if the authority answers, it is for that to confirm it.
        All members do so, spread over a time in proportion to their number."""
        if self._link.reachable:
            loop = asyncio.get_running_loop()
            spread = self._membership.running_count() * EPOCH_SPREAD_SECONDS
            loop.call_later(self._rng.random() * spread, self._look_for, version)

    def _look_for(self, version: tuple[int, int, int]) -> None:
        if self._serving.version < version:
            self._sought = version
            self._wake.set()

    def snapshot_failed(self) -> None:
        """No peer could give the whole state: the authority can, if it is there."""
        if self._link.reachable:
            self._wake.set()

    def lost(self) -> None:
        """The authority has failed somebody: see to it at once."""
        self._wake.set()

    def look(self) -> None:
        """There is something new at the authority: read it at once."""
        self._wake.set()

    def committed(self, revision: int) -> None:
        """Somebody has committed this revision, as the authority itself tells. It should come by
        gossip; if its writer has died, it is read."""
        if revision > self._serving.version.revision:
            loop = asyncio.get_running_loop()
            loop.call_later(LISTEN_PATIENCE_SECONDS, self._miss, revision)

    def _miss(self, revision: int) -> None:
        if revision > self._serving.version.revision:
            self._wake.set()

    def moved(self) -> None:
        """The replica, or what is known of the members' heads, has changed: look, once in a turn of
        the loop, whether the node holds the newest. A node that catches up moves often."""
        if not (self.served or self._looks):
            self._looks = True
            asyncio.get_running_loop().call_soon(self._look_at_peers)

    def _look_at_peers(self) -> None:
        self._looks = False
        if self.served or self._link.reachable or not self._serving.loaded:
            return
        newest = self._membership.newest_head()
        if newest is not None and self._serving.version >= newest:
            log.notice(
                "serving what the peers hold; the authority is away", at=self._serving.version
            )
            self._serve()

    def _serve(self) -> None:
        if not self.served:
            self.served = True
            self._may_serve()

    async def _until_a_look_is_due(self) -> None:
        while self._link.reachable and not self._wake.is_set():
            now = time.monotonic()
            self._poll.confirmed(now - self._membership.confirmation_age())
            if self._poll.due(now):
                break
            with contextlib.suppress(TimeoutError):
                # No longer than a moment: whose turn it is to look depends on who lives.
                async with asyncio.timeout(min(self._poll.deadline - now, LISTENERS_LOOK_SECONDS)):
                    await self._wake.wait()
        self._wake.clear()
