"""A node's membership over real sockets: its address, and what it says of the others."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gossip.events import Event, ForcedOut
from gossip.replica import Replica
from node.admin.node_view import NoSuchMember
from node.agent.identity import OwnIdentity, StoredIdentity
from node.agent.membership import Membership
from node.config.load import load
from node.demo.ports import node_ports
from simulations.authority import LogReplica
from tests.system.conftest import free_base
from tests.system.waiting import until


class Started:
    """A membership and what it told."""

    def __init__(self, prefix: Path, number: int, **settings: str) -> None:
        self.events: list[Event] = []
        prefix.mkdir(exist_ok=True)
        node_id = f"{number:08x}-0000-4000-8000-{number:012x}"
        self.identity = OwnIdentity(prefix, StoredIdentity(node_id, 0, 0), f"gw{number}", "host")
        replica: Replica = LogReplica()
        self.membership = Membership(
            load(None, {"prefix": str(prefix), **settings}, {}),
            self.identity,
            replica,
            self.events.append,
        )

    async def start(self) -> None:
        self.identity.begin(self.identity.generation + 1)
        await self.membership.start(None)

    def member(self, name: str) -> dict[str, Any] | None:
        """What it shows of a member."""
        found = [one for one in self.membership.members() if one["name"] == name]
        return found[0] if found else None


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Started, Started]]:
    """Two members; the first tells the others to find it at ``localhost``."""
    base = free_base(2)
    ports = [node_ports(base, number).gossip for number in (1, 2)]
    first = Started(
        tmp_path / "1",
        1,
        cluster_profile="local",
        cluster_listen=f"127.0.0.1:{ports[0]}",
        cluster_advertise=f"localhost:{ports[0]}",
    )
    second = Started(
        tmp_path / "2",
        2,
        cluster_profile="local",
        cluster_listen=f"127.0.0.1:{ports[1]}",
        cluster_seeds=f"127.0.0.1:{ports[0]}",
    )
    for node in (first, second):
        await node.start()

    async def have_met() -> bool:
        return first.member("gw2") is not None and second.member("gw1") is not None

    await until(have_met, "both see each other")
    yield first, second
    for node in (first, second):
        await node.membership.close()
        await node.identity.finish()


async def test_a_host_name_that_leads_elsewhere_now_is_told_to_the_others(
    pair: tuple[Started, Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    before = first.membership.row()
    assert before is not None
    port = int(before.address.rpartition(":")[2])

    async def moved(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", ("127.0.0.9", port))]

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "getaddrinfo", moved, raising=False)
        await first.membership.look_up_address()
        await first.membership.look_up_address()
    moved_to = f"127.0.0.9:{port}"

    async def is_told() -> bool:
        member = second.member("gw1")
        return member is not None and member["address"] == moved_to

    await until(is_told, "the other sees the new address")
    member = first.member("gw1")
    assert member is not None
    assert member["incarnation"] == 2, "said once"
    row = first.membership.row()
    assert row is not None
    assert row.address == moved_to, "the authority is told, too"


async def test_a_host_name_that_does_not_resolve_now_changes_nothing(
    pair: tuple[Started, Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = pair
    before = first.membership.row()

    async def gone(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", gone, raising=False)
    await first.membership.look_up_address()
    assert first.membership.row() == before


async def test_one_of_the_live_members_is_the_first(pair: tuple[Started, Started]) -> None:
    assert [node.membership.is_first() for node in pair] == [True, False]


async def test_who_was_forced_out_has_no_row_and_need_not_leave(
    pair: tuple[Started, Started],
) -> None:
    first, second = pair
    removal = first.membership.force_leave(second.identity.node_id)
    assert removal == (second.identity.node_id, 1)

    async def is_out() -> bool:
        return any(isinstance(event, ForcedOut) for event in second.events)

    await until(is_out, "it hears of it")
    assert second.membership.row() is None
    async with asyncio.timeout(1.0):
        await second.membership.leave()
    with pytest.raises(NoSuchMember):
        first.membership.force_leave("0b9d8c7e-0000-4000-8000-000000000009")


async def test_a_membership_begins_anew_with_another_node_id(
    pair: tuple[Started, Started],
) -> None:
    first, second = pair
    former = second.identity.node_id
    await second.membership.close()
    second.identity.renew()
    assert second.identity.node_id != former
    await second.start()

    async def is_known() -> bool:
        member = first.member("gw2")
        return (
            any(
                one["id"] == second.identity.node_id and one["status"] == "alive"
                for one in first.membership.members()
            )
            and member is not None
        )

    await until(is_known, "the other sees the new node at the same address")
