"""``/cluster/authority``: the database's history as the node sees it, and the decision."""

from node.admin.node_view import HistoryStatus, Side, SplitStatus
from store.version import EMPTY, Head, Version
from tests.admin.client import Client
from tests.admin.small_node import SmallHistory, SmallNode

HEAD = Head(Version(2, 0xAB, 7), bytes(31) + b"\x01")
SHOWN = {"revision": "2.7", "tag": "00000000000000ab", "digest": "00" * 31 + "01"}


def tell(node: SmallNode, status: HistoryStatus) -> None:
    assert isinstance(node.history, SmallHistory)
    node.history.told = status


async def test_a_split_is_shown_with_both_sides(node: SmallNode, admin: Client) -> None:
    here, there = Side("10.0.0.1:5432", 1, HEAD), Side("10.0.0.2:5432", 2, HEAD)
    split = SplitStatus(refuses=True, other=there)
    tell(node, HistoryStatus("a", "", here, HEAD, split, None, ("/p/abandoned/x.jsonl",)))
    answer = await admin.get("/cluster/authority")
    assert (answer.status, answer.json) == (
        200,
        {
            "id": "a",
            "reachable": True,
            "reason": "",
            "server": "10.0.0.1:5432",
            "timeline": 1,
            "head": SHOWN,
            "confirmed": SHOWN,
            "split": {
                "writes": "refused",
                "other": {"server": "10.0.0.2:5432", "timeline": 2, "head": SHOWN},
            },
            "changed": None,
            "abandoned": ["/p/abandoned/x.jsonl"],
        },
    )


async def test_what_is_not_known_is_null(node: SmallNode, admin: Client) -> None:
    tell(node, HistoryStatus("a", "away", None, EMPTY, None, ("a", "b"), ()))
    answer = (await admin.get("/cluster/authority")).json
    assert (answer["reachable"], answer["reason"], answer["head"]) == (False, "away", None)
    assert answer["changed"] == {"serves": "a", "found": "b"}


async def test_a_side_is_adopted(node: SmallNode, admin: Client) -> None:
    answer = await admin.post("/cluster/authority/adopt")
    assert (answer.status, answer.message) == (200, "adopted")
