"""A large changeset in a worker: beside the table that is served, then in its place."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence

import pytest

from node.channel import Change, Part, Snapshot
from node.proxy import limits
from node.proxy.router import Match, Request
from node.proxy.staging import Staging
from node.proxy.table import Table
from tests.proxy.client import connected
from tests.proxy.conftest import Origin
from tests.proxy.process import route as route_to
from tests.proxy.process import running, service

VERSION = (1, 7, 2)
TARGET = service("http://127.0.0.1:80")
SLICE = 50
COUNTS = [limits.STAGED_AT_ONCE_MAX // 2, 2 * limits.STAGED_AT_ONCE_MAX]


def route(number: int, prefix: str, to: Change = TARGET) -> Change:
    return route_to(to, f"{number:08x}-0000-4000-8000-000000000000", paths=[f"/{prefix}/{number}"])


def parts(changes: Sequence[Change]) -> list[Part]:
    """As the agent sends them."""
    slices = [tuple(changes[at : at + SLICE]) for at in range(0, len(changes), SLICE)]
    made = [Part(VERSION, each, len(changes), last=False, first=False) for each in slices]
    made.append(Part(VERSION, (), len(changes), last=True, first=False))
    return [made[0]._replace(first=True), *made[1:]]


def match(table: Table, path: str) -> Match | None:
    return table.match(Request(b"GET", b"a", path.encode(), False, b"", 80, lambda name: ()))


class Staged:
    """A table with routes, and a changeset that moves all of them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.table = Table(lambda reason: None)
        self.table.apply((1, 7, 1), [TARGET, *(route(n, "old") for n in range(count))])
        self.table.apply((1, 7, 1), [("routes", "not-readable", "no json")])
        self.moved = [route(number, "new") for number in range(count)]
        self.moved[0] = ("routes", self.moved[0][1], None)
        self.moved[1] = ("routes", self.moved[1][1], "no json")

    def drive(self) -> Table:
        """Take it in, part by part; nothing of it shows before the end."""
        made = parts(self.moved)
        staging = Staging(made[0], self.table, lambda: Table(lambda reason: None))
        for part in made:
            staging.add(part)
            while staging.step():
                self.check_old()
        assert staging.outcome is not None
        return staging.outcome

    def check_old(self) -> None:
        if self.table.version == VERSION:
            return
        assert match(self.table, f"/old/{self.count - 1}")
        assert match(self.table, "/old/0")
        assert not match(self.table, f"/new/{self.count - 1}")
        assert not match(self.table, "/new/2")


@pytest.mark.parametrize("count", COUNTS)
def test_nothing_of_it_shows_before_all_of_it_does(count: int) -> None:
    staged = Staged(count)
    table = staged.drive()
    assert (table is staged.table) == (count <= limits.STAGED_AT_ONCE_MAX)
    assert table.version == VERSION
    for number in range(2, count):
        assert match(table, f"/new/{number}")
        assert not match(table, f"/old/{number}")
    assert not match(table, "/new/0")
    assert not match(table, "/old/0")
    rows = [TARGET, *staged.moved[1:], ("routes", "not-readable", "no json")]
    assert table.difference(rows, Counter(kind for kind, _, _ in rows)) == ""


def test_every_kind_is_copied_with_what_it_is_found_by() -> None:
    staged = Staged(COUNTS[-1])
    pem = "-----BEGIN CERTIFICATE-----"
    others: list[Change] = [
        ("vaults", "v", json.dumps({"id": "v", "name": "env", "prefix": "e", "config": {}})),
        ("certificates", "c", json.dumps({"id": "c", "cert": pem, "key": pem})),
        ("ca_certificates", "a", json.dumps({"id": "a", "cert": pem})),
        ("snis", "s", json.dumps({"id": "s", "name": "a.test", "certificate": {"id": "c"}})),
        ("plugins", "p", json.dumps({"id": "p", "name": "cors", "config": {}})),
    ]
    staged.table.apply((1, 7, 1), others)
    staged.table.certificates._referring["c"] = others[1][2] or ""
    table = staged.drive()
    rows = [TARGET, *staged.moved[1:], ("routes", "not-readable", "no json"), *others]
    assert table.difference(rows, Counter(kind for kind, _, _ in rows)) == ""
    assert [sni.id for sni in table.snis.fitting("a.test")] == ["s"]
    assert table.certificates.referring() == ["c"]
    assert len(table.plugins.chain("", "").configured) == 1


@pytest.mark.parametrize("flavor", ["traditional_compatible", "traditional"])
def test_a_copy_matches_the_same_and_changes_apart(flavor: str) -> None:
    ways = ({"methods": ["GET"]}, {"hosts": ["a", "*.b"]}, {"paths": ["~/x/[0-9]+$", "/y"]})
    rows = [
        TARGET,
        *(route(number, "plain") for number in range(5)),
        *(
            route_to(TARGET, f"{number:08x}-0000-4000-8000-00000000000a", **way)
            for number, way in enumerate(ways)
        ),
        route_to(TARGET, f"{9:08x}-0000-4000-8000-00000000000a", headers={"x": ["~*1", "2"]}),
    ]
    table = Table(lambda reason: None, flavor=flavor)
    table.apply((1, 7, 1), rows)
    copy = Table(lambda reason: None, flavor=flavor)
    for _ in copy.take_after(table):
        pass
    paths = ["/plain/3", "/x/12", "/y", "/elsewhere"]
    before = [match(table, path) for path in paths]
    assert None not in before
    assert [match(copy, path) for path in paths] == before
    counts = Counter(kind for kind, _, _ in rows)
    assert copy.difference(rows, counts) == table.difference(rows, counts) == ""
    copy.apply(VERSION, [("routes", entity_id, None) for _, entity_id, _ in rows[1:]])
    assert [match(copy, path) for path in paths] == [None] * len(paths)
    assert [match(table, path) for path in paths] == before
    assert table.difference(rows, counts) == ""


def test_what_is_left_out_of_account_stays_so_in_a_copy() -> None:
    staged = Staged(COUNTS[-1])
    disabled = service("http://127.0.0.1:80", TARGET[1], enabled=False)
    staged.table.apply((1, 7, 1), [disabled])
    staged.check_old = lambda: None  # type: ignore[method-assign]
    table = staged.drive()
    assert not match(table, "/new/5")
    table.apply((1, 7, 3), [TARGET])
    assert match(table, "/new/5")


@pytest.mark.parametrize("count", COUNTS)
async def test_a_worker_serves_on_and_then_all_of_it(echo: Origin, count: int) -> None:
    target = service(echo.url)
    old = [route(number, "old", target) for number in range(count)]
    async with running([target, *old]) as worker, connected(worker.port) as client:
        for part in parts([route(number, "new", target) for number in range(count)]):
            if part.last:
                assert (await client.get(f"/old/{count - 1}")).status == 200
                assert (await client.get("/new/0")).status == 404
                assert worker.applied[-1].version != VERSION
            worker.send(part)
        await worker.until(lambda: worker.applied[-1].version == VERSION)
        for number in (0, count - 1):
            assert (await client.get(f"/new/{number}")).status == 200
            assert (await client.get(f"/old/{number}")).status == 404


async def test_a_state_takes_the_place_of_parts_under_way(echo: Origin) -> None:
    target = service(echo.url)
    async with running([target]) as worker, connected(worker.port) as client:
        made = parts([route(number, "new", target) for number in range(COUNTS[-1])])
        for part in itertools.islice(made, len(made) // 2):
            worker.send(part)
        state = (target, route(1, "state", target))
        worker.send(Snapshot((2, 7, 5), state, last=True, first=True))
        await worker.until(lambda: worker.applied[-1].version == (2, 7, 5))
        assert (await client.get("/state/1")).status == 200
        assert (await client.get("/new/1")).status == 404
        version = await worker.apply(route(2, "later", target))
        assert worker.applied[-1].version == version
        assert (await client.get("/later/2")).status == 200


async def test_parts_that_begin_nothing_end_the_worker(echo: Origin) -> None:
    async with running([service(echo.url)]) as worker:
        worker.send(Part(VERSION, (), 1, last=True, first=False))
        assert await worker.process.wait() == 1
