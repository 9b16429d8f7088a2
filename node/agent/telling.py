"""What the parts of a node tell each other: what was applied, and what gossip has heard."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gossip.address import format_address
from gossip.events import (
    AuthorityAdopted,
    Behind,
    ChangesetApplied,
    EpochHeard,
    FenceAsked,
    FenceEnded,
    HistoryAnswered,
    HistoryAsked,
    Isolated,
    KeyringChanged,
    KeyUnknown,
    MemberChanged,
    MemberForgotten,
    Observed,
    Purged,
    RegisterChanged,
    SnapshotFailed,
    SnapshotInstalled,
    StateDiffers,
)
from gossip.events import Event as GossipEvent
from node import logs
from node.agent.stances import heard as stance
from store.authority import AuthorityInfo, Committed
from store.changeset import Change
from store.replica import Applied
from store.version import Version

if TYPE_CHECKING:
    from node.agent.parts import Parts

log = logs.get("node")


class Telling:
    """Passes on what one part tells to those that it concerns."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            MemberChanged: self._member_changed,
            MemberForgotten: self._member_forgotten,
            ChangesetApplied: self._changeset_applied,
            Behind: lambda event: parts.repairing.behind(event),
            StateDiffers: lambda event: parts.repairing.differs(event),
            SnapshotInstalled: self._snapshot_installed,
            SnapshotFailed: self._snapshot_failed,
            EpochHeard: lambda event: parts.following.heard_epoch(event.version),
            HistoryAsked: self._history_asked,
            HistoryAnswered: self._history_answered,
            AuthorityAdopted: self._authority_adopted,
            FenceAsked: lambda event: parts.fences.asked(event),
            FenceEnded: lambda event: parts.fences.ended(event),
            Purged: lambda event: parts.caches.purged(event),
            RegisterChanged: self._register_changed,
            Observed: lambda event: parts.health.heard(event),
            KeyringChanged: lambda event: parts.keys.adopted(event.keyring),
            KeyUnknown: lambda event: parts.keys.unknown(event.key_id),
            Isolated: lambda event: log.warning(
                "no other member answers", for_seconds=round(event.seconds)
            ),
        }

    def log_from(self, level: str) -> None:
        logs.set_level(level)
        self._parts.workers.log_from(level)

    def lost_authority(self) -> None:
        self._parts.following.lost()

    def applied(self, applied: Applied) -> None:
        changeset, body, total = applied
        self._parts.keeper.applied(changeset)
        self._parts.revisions.applied(changeset.version, body, total)
        if applied.is_large:
            self._parts.workers.publish_large(changeset, total)
            self._parts.health.loaded()
        else:
            self._parts.workers.publish(changeset.version, body.changes)
            self._parts.health.applied(body.changes)
        self._parts.fences.moved()

    def loaded(self) -> None:
        self._parts.keeper.replaced()
        self._parts.replica_audit.replaced()
        self._parts.workers.publish_state()
        self._parts.health.loaded()
        self._parts.fences.moved()

    def mended(self, version: Version, changes: tuple[Change, ...]) -> None:
        self._parts.keeper.replaced()
        self._parts.replica_audit.replaced()
        self._parts.workers.publish(version, changes)
        self._parts.health.applied(changes)

    async def replace_replica(self) -> None:
        self._parts.repairing.damaged("an audit has found that it isn't what was applied")

    def live(self, version: tuple[int, int, int]) -> None:
        self._parts.revisions.live(version, time.time())

    def heard(self, event: GossipEvent) -> None:
        """Something that gossip tells."""
        handler = self._handlers.get(type(event), self._parts.participation.heard)
        handler(event)

    def _member_changed(self, event: MemberChanged) -> None:
        member = event.member
        log.notice("member", name=member.name, status=member.status, was=event.previous)
        self._parts.bus.publish(
            {
                "type": "member",
                "at": time.time(),
                "id": member.id,
                "name": member.name,
                "address": format_address(member.address),
                "status": member.status,
                "previous": event.previous,
            }
        )
        self._parts.peers.changed()
        self._parts.following.moved()
        self._parts.health.members_changed()

    def _register_changed(self, event: RegisterChanged) -> None:
        self._parts.log_levels.heard(event)
        self._parts.health.register_changed(event)

    def _member_forgotten(self, event: MemberForgotten) -> None:
        if self._parts.membership.is_first():
            self._parts.directory.gone(event.member.id, event.member.generation)

    def _history_asked(self, event: HistoryAsked) -> None:
        self._parts.histories.asked(event.asker, event.sequence, stance(event.theirs))

    def _history_answered(self, event: HistoryAnswered) -> None:
        theirs = None if event.theirs is None else stance(event.theirs)
        self._parts.histories.answered(event.member, theirs)

    def _changeset_applied(self, event: ChangesetApplied) -> None:
        self._parts.measures.propagation.observe(event.delay, event.hops)
        self._parts.following.moved()
        self._parts.repairing.moved()

    def _snapshot_installed(self, event: SnapshotInstalled) -> None:
        self._parts.following.moved()
        self._parts.repairing.installed()

    def _snapshot_failed(self, event: SnapshotFailed) -> None:
        self._parts.repairing.failed(event.reason)
        self._parts.following.snapshot_failed()

    def _authority_adopted(self, event: AuthorityAdopted) -> None:
        log.notice(
            "following the authority of a peer until this node's own has been read",
            authority=event.authority,
            peer=format_address(event.address),
        )
        self._parts.replica.authority_id = event.authority
        self._parts.keeper.identified(event.authority)

    def raised(self, committed: Committed) -> None:
        self._parts.link.raised(committed)
        self._parts.following.look()

    def identified(self, info: AuthorityInfo) -> None:
        if self._parts.replica.authority_id not in ("", info.id):
            # What was read from disk, and isn't served yet; or what a peer gave provisionally.
            self._parts.serving.clear()
            self._parts.keeper.abandon()
        self._parts.replica.authority_id = info.id
        self._parts.keeper.identified(info.id)
        self._parts.membership.follow(info.id)
        self._parts.keys.authority_opened(info)
        self._parts.histories.renew()
