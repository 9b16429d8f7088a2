"""/cluster: members, joining, leaving, revisions and the event stream."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from node.admin import event_stream
from node.admin.app import create_admin_app
from node.admin.event_stream import encode_event
from node.admin.limits import EVENT_SUBSCRIBERS_MAX
from node.admin.node_view import LiveVersion
from node.admin.server import create_runner
from store.version import Version
from tests.admin.client import Client
from tests.admin.small_node import SmallNode

PEER: dict[str, Any] = {
    "id": "0b9d8c7e-0000-4000-8000-000000000002",
    "name": "gw2",
    "address": "[::1]:8105",
    "status": "failed",
    "role": "traditional",
    "version": "0.1.0",
    "zone": "",
    "incarnation": 3,
    "revision": "1.1",
    "rtt": 0.0004,
}


async def test_members_are_listed_with_their_number(admin: Client, node: SmallNode) -> None:
    node.peers = [PEER]
    listing = (await admin.get("/cluster")).json
    assert listing["total"] == 2
    assert [member["name"] for member in listing["data"]] == ["gw1", "gw2"]
    assert listing["data"][1] == PEER


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        ("10.0.0.2:8005", "10.0.0.2:8005"),
        ("gw2.test", "gw2.test:8005"),
        ("[fd00::2]:9", "[fd00::2]:9"),
    ],
)
async def test_join_hands_over_the_address(
    admin: Client, node: SmallNode, given: str, joined: str
) -> None:
    answer = await admin.post("/cluster", json={"address": given})
    assert (answer.status, answer.message) == (202, f"joining {joined}")
    assert node.joined == [joined]


@pytest.mark.parametrize(
    "address", [None, 7, "", ":8005", "h:0x1", "h:99999", "fd00::2:8005", "a b:1", "x" * 300]
)
async def test_a_bad_address_is_refused(admin: Client, node: SmallNode, address: object) -> None:
    answer = await admin.post("/cluster", json={"address": address})
    assert answer.status == 400
    assert answer.message.startswith("address: ")
    assert node.joined == []


async def test_force_leave_of_a_member_is_204_and_of_a_stranger_404(
    admin: Client, node: SmallNode
) -> None:
    node.peers = [PEER]
    assert (await admin.delete("/cluster/nodes/gw2")).status == 204
    assert node.peers == []
    answer = await admin.delete("/cluster/nodes/gw2")
    assert (answer.status, answer.message) == (404, "No member named 'gw2'")


async def test_a_name_of_several_members_is_settled_by_id(admin: Client, node: SmallNode) -> None:
    other = {**PEER, "id": "0b9d8c7e-0000-4000-8000-000000000003"}
    node.peers = [PEER, other]
    answer = await admin.delete("/cluster/nodes/gw2")
    assert answer.status == 409
    assert PEER["id"] in answer.message
    assert (await admin.delete(f"/cluster/nodes/{PEER['id']}")).status == 204
    assert node.peers == [other]


async def test_a_node_is_not_forced_out_by_itself(admin: Client, node: SmallNode) -> None:
    for name in (node.node_name, node.node_id):
        answer = await admin.delete(f"/cluster/nodes/{name}")
        assert answer.status == 409
        assert answer.message.endswith("use grapevine stop")


async def test_leave_is_begun_after_the_answer(admin: Client, node: SmallNode) -> None:
    answer = await admin.post("/cluster/leave", json={})
    assert (answer.status, answer.message) == (202, "gw1 leaves the cluster and stops")
    assert node.leaving


async def test_what_became_of_the_nodes_identity_is_told_with_the_members(
    admin: Client, node: SmallNode
) -> None:
    assert (await admin.get("/cluster")).json["notices"] == []
    node.told = ["this node goes on as gw1~89ab"]
    assert (await admin.get("/cluster")).json["notices"] == node.told


async def test_revision_says_whether_all_live_members_serve_it(
    admin: Client, node: SmallNode
) -> None:
    await admin.make_service("orders")
    own = await admin.get("/cluster/revision")
    assert own.json["revision"] == str(node.head().version)
    assert own.json["digest"] == node.head().digest.hex()
    held = node.replica.state_hash()
    assert held is not None
    assert own.json["state_hash"] == held.hex()
    assert own.json["converged"] is True
    node.peers = [PEER]
    assert (await admin.get("/cluster/revision")).json["converged"] is True, "a failed one"
    node.peers = [{**PEER, "status": "alive", "revision": "1.99"}]
    assert (await admin.get("/cluster/revision")).json["converged"] is False


async def test_revision_says_what_the_workers_serve_and_since_when(
    admin: Client, node: SmallNode
) -> None:
    before = (await admin.get("/cluster/revision")).json
    assert (before["live"], before["live_at"]) == (None, None), "nothing is served yet"
    node.served = LiveVersion(Version(1, 7, 4), 1_700_000_000.25)
    after = (await admin.get("/cluster/revision")).json
    assert (after["live"], after["live_at"]) == ("1.4", 1_700_000_000.25)


async def next_event(stream: aiohttp.StreamReader) -> tuple[str, Any]:
    """The next event of a stream, comments passed over: its name and data."""
    async with asyncio.timeout(5):
        while True:
            block = (await stream.readuntil(b"\n\n")).decode().rstrip("\n")
            if not block.startswith(":"):
                name, data = block.split("\n")
                return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most 5 s."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_events_arrive_as_they_happen(admin: Client, node: SmallNode) -> None:
    async with admin.session.get(f"{admin.base}/cluster/events") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Server"] == "grapevine/0.1.0"
        for count in range(2):
            node.events.put_nowait({"type": "revision", "revision": f"1.{count}", "text": "é\n"})
            name, data = await next_event(response.content)
            assert (name, data["revision"], data["text"]) == ("revision", f"1.{count}", "é\n")


async def test_an_idle_stream_carries_heartbeats(
    admin: Client, monkeypatch: pytest.MonkeyPatch, node: SmallNode
) -> None:
    monkeypatch.setattr(event_stream, "EVENT_HEARTBEAT_SECONDS", 0.01)
    async with admin.session.get(f"{admin.base}/cluster/events") as response:
        async with asyncio.timeout(5):
            for _ in range(3):
                assert (await response.content.readuntil(b"\n\n")).startswith(b":")
        node.events.put_nowait({"type": "member"})
        assert (await next_event(response.content))[0] == "member"


async def test_a_client_that_leaves_is_unsubscribed(
    admin: Client, monkeypatch: pytest.MonkeyPatch, node: SmallNode
) -> None:
    monkeypatch.setattr(event_stream, "EVENT_HEARTBEAT_SECONDS", 0.01)
    async with admin.session.get(f"{admin.base}/cluster/events"):
        await until(lambda: node.subscribers == 1)
    await until(lambda: node.subscribers == 0)


async def test_a_client_that_stops_reading_is_cut_off(
    admin: Client, monkeypatch: pytest.MonkeyPatch, node: SmallNode
) -> None:
    monkeypatch.setattr(event_stream, "EVENT_WRITE_SECONDS", 0.05)
    async with admin.session.get(f"{admin.base}/cluster/events"):
        for _ in range(64):
            node.events.put_nowait({"type": "revision", "text": "x" * 1024 * 1024})
        await until(lambda: node.subscribers == 1)
        await until(lambda: node.subscribers == 0)


async def test_streams_beyond_the_bound_are_503(node: SmallNode, admin: Client) -> None:
    url = f"{admin.base}/cluster/events"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        open_streams = [await session.get(url) for _ in range(EVENT_SUBSCRIBERS_MAX)]
        answer = await admin.get("/cluster/events")
        assert answer.status == 503
        assert "event streams are open already" in answer.message
        for response in open_streams:
            response.close()


async def test_open_streams_do_not_hold_up_the_end_of_the_node(node: SmallNode) -> None:
    runner = create_runner(create_admin_app(node))
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}:{port}/cluster/events"),
    ):
        await until(lambda: node.subscribers == 1)
        async with asyncio.timeout(2):
            await runner.cleanup()
        assert node.subscribers == 0


def test_an_event_is_one_data_line() -> None:
    assert encode_event({"type": "x", "text": "a\r\nb"}) == (
        b'event: x\ndata: {"type":"x","text":"a\\r\\nb"}\n\n'
    )
