"""What an operator asks of this node's authority, and decides about it. Satisfies HistoryView."""

from node.admin.node_view import Conflict, HistoryStatus, NotAvailable, Side, SplitStatus
from node.agent.abandoned import Abandoned
from node.agent.authority_link import AuthorityLink
from node.agent.following import Following
from node.agent.histories import Histories
from store.errors import AuthorityUnavailable
from store.verdict import Stance


class AuthorityDesk:
    """That of a node with a database."""

    def __init__(
        self,
        link: AuthorityLink,
        histories: Histories,
        abandoned: Abandoned,
        following: Following,
    ) -> None:
        self._link = link
        self._histories = histories
        self._abandoned = abandoned
        self._following = following

    async def status(self) -> HistoryStatus:
        link, split = self._link, self._histories.split
        reason, side = link.reason, None
        if link.info is not None and link.changed is None:
            try:
                side = _side(await self._histories.standing())
            except AuthorityUnavailable as error:
                reason = str(error)
        return HistoryStatus(
            link.info.id if link.info is not None else None,
            reason,
            side,
            link.confirmed_head(),
            None if split is None else SplitStatus(split.refuses, _side(split.theirs)),
            link.changed,
            self._abandoned.files(),
        )

    async def adopt(self) -> str:
        link = self._link
        if link.changed is not None:
            served, found = link.changed
            await link.adopt()
            self._following.look()
            return f"this node follows the authority {found}, and {served} no more"
        split = self._histories.split
        if split is None:
            raise Conflict(
                "there is nothing to adopt: this node knows of no other history than that of its"
                " database"
            )
        committed = await self._histories.adopt()
        self._following.look()
        if committed.changeset is None:
            return f"this side goes on already, at {committed.head.version}"
        return (
            f"the epoch was raised to {committed.head.version} at {split.mine.server.address};"
            f" stop {split.theirs.server.address}, or point its nodes here"
        )


class NoDesk:
    """That of a node without a database."""

    async def status(self) -> HistoryStatus:
        raise NotAvailable("database is 'off': there is no authority")

    async def adopt(self) -> str:
        raise NotAvailable("database is 'off': there is no authority")


def _side(stance: Stance) -> Side:
    return Side(stance.server.address, stance.server.timeline, stance.head)
