"""Compares the database with what the nodes hold, now and then, on one node (``store.audit``).

Replicas are made of changesets, so a row that somebody changed by hand is live nowhere, until a
node reads the whole state and differs from the others. The audit makes a changeset of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from node import logs
from node.agent.authority_link import AuthorityLink
from node.agent.limits import AUDIT_STEPS_MAX, AUDIT_YIELD_ENTITIES, NAMES_SHOWN_MAX
from node.agent.serving import Serving
from store.amendment import Refused
from store.audit import Difference, Walk, referrers
from store.changeset import decode_body
from store.errors import AuthorityUnavailable
from store.limits import AUDIT_SLICE_ROWS
from store.rows import Key

log = logs.get("authority")

Sleep = Callable[[float], Awaitable[object]]

Verdict = Literal["same", "spread", "refused", "inconclusive"]


class ClusterAudit:
    """``is_due()`` tells whether it is for this node to audit now; every ``interval`` seconds, 0 is
    never."""

    def __init__(
        self,
        link: AuthorityLink,
        serving: Serving,
        is_due: Callable[[], bool],
        interval: float,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._serving = serving
        self._is_due = is_due
        self._interval = interval
        self._sleep = sleep
        self._clock = clock
        self._finished_at: float | None = None
        self._refused: Sequence[Refused] = ()
        self.counters = {
            "cluster_audits": 0,
            "cluster_audits_inconclusive": 0,
            "cluster_audits_failed": 0,
            "cluster_audit_rows_spread": 0,
            "cluster_audit_rows_refused": 0,
        }
        """By the names of ``node.agent.counters``."""

    def status(self) -> dict[str, Any]:
        """When this node's last audit has ended (Unix seconds), and which rows of the database the
        nodes don't hold."""
        return {
            "finished_at": self._finished_at,
            "rows_refused": len(self._refused),
            "refused": _shown(self._refused),
        }

    async def run(self) -> None:
        """Until cancelled."""
        while self._interval:
            await self._sleep(self._interval)
            if not self._is_due() or not self._serving.loaded:
                continue
            try:
                await self.audit()
            except Exception as error:  # whatever stands in the database, the node goes on
                self.counters["cluster_audits_inconclusive"] += 1
                expected = isinstance(error, AuthorityUnavailable)
                reason = str(error) if expected else repr(error)
                log.warning("the database can't be audited now", reason=reason)

    async def audit(self) -> Verdict:
        """Once; until the two are the same, or what differs can't be spread. Raises
        AuthorityUnavailable."""
        spread = 0
        for _ in range(AUDIT_STEPS_MAX):
            walk = await self._walk()
            known = self._serving.state_hash(walk.head.version)
            if known == walk.state_hash():
                return self._note("spread" if spread else "same", spread, ())
            if known is None or not walk.differing:
                break  # the replica was replaced meanwhile, or is itself what is damaged
            amended = await self._link.amend(await self._difference(walk))
            if amended.changeset is not None:
                spread += len(decode_body(amended.changeset.body).changes)
            elif amended.refused:
                return self._note("refused", spread, amended.refused)
        return self._note("inconclusive", spread, self._refused)

    async def _walk(self) -> Walk:
        """Through the whole table; the replica has come to its head afterwards."""
        walk = Walk(self._serving.replica.pin())
        await self._link.walk(walk, AUDIT_SLICE_ROWS)
        walk.end()
        await self._link.catch_up(walk.head)
        return walk

    async def _difference(self, walk: Walk) -> Difference:
        replica = self._serving.replica
        held = replica.pin()
        told: dict[Key, Sequence[Key]] = {}
        for number, key in enumerate(walk.missing, 1):
            told[key] = referrers(replica, key)
            if number % AUDIT_YIELD_ENTITIES == 0:
                await asyncio.sleep(0)
        return Difference(held, tuple(walk.differing), told)

    def _note(self, verdict: Verdict, spread: int, refused: Sequence[Refused]) -> Verdict:
        self._finished_at = self._clock()
        self._refused = refused
        counters = self.counters
        counters["cluster_audits"] += 1
        counters["cluster_audits_inconclusive"] += verdict == "inconclusive"
        counters["cluster_audits_failed"] += bool(spread or verdict == "refused")
        counters["cluster_audit_rows_spread"] += spread
        counters["cluster_audit_rows_refused"] += len(refused) if verdict == "refused" else 0
        if spread:
            log.warning(
                "rows of the database were changed past the Admin API; the nodes hold them now",
                rows=spread,
                at=self._serving.version,
            )
        if verdict == "refused":
            log.error(
                "rows of the database don't validate, so the nodes don't hold them; put them right",
                rows=len(refused),
                which="; ".join(_shown(refused)),
            )
        elif verdict == "inconclusive":
            log.warning("the database could not be compared with what this node holds")
        return verdict


def _shown(refused: Sequence[Refused]) -> list[str]:
    return [
        f"{kind} {entity_id}: {reason}" for kind, entity_id, reason in refused[:NAMES_SHOWN_MAX]
    ]
