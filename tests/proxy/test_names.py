"""Names to addresses: the hosts file, a real name server, and a resolver that remembers."""

import asyncio
from pathlib import Path

import pytest

from node.proxy import limits
from node.proxy.lookup import HostsFile, Lookup
from node.proxy.resolver import Found, NoSuchName, Record, ResolutionFailed, Resolver
from tests.proxy.nameserver import NameServer, name_server


def lookup(server: NameServer, **more: object) -> Lookup:
    hosts = Path(str(more.get("hosts", "/nonexistent")))
    order = more.get("order", ("LAST", "SRV", "A", "CNAME"))
    assert isinstance(order, tuple)
    return Lookup([("127.0.0.1", server.port)], order, hosts)


async def test_an_srv_record_gives_ports_and_weights_of_its_best_priority() -> None:
    zone = {
        ("svc.test", "SRV"): [
            "1 20 8001 one.test.",
            "1 0 8002 two.test.",
            "2 50 8003 later.test.",
        ],
        ("svc.test", "A"): ["192.0.2.99"],
        ("one.test", "A"): ["192.0.2.1", "192.0.2.2"],
        ("two.test", "AAAA"): ["2001:db8::2"],
        ("later.test", "A"): ["192.0.2.3"],
    }
    async with name_server(zone) as server:
        found = await lookup(server)("svc.test")
    assert found == Found(
        (
            Record("192.0.2.1", 8001, 10, "one.test"),
            Record("192.0.2.2", 8001, 10, "one.test"),
            Record("2001:db8::2", 8002, 1, "two.test"),
        ),
        60.0,
    )


async def test_the_order_of_types_is_kongs_and_aaaa_is_asked_for_last() -> None:
    async with name_server({("six.test", "AAAA"): ["2001:db8::1"]}, ttl=7) as server:
        found = await lookup(server)("six.test")
        assert [kind for _, kind in server.asked] == ["SRV", "A", "AAAA"]
        assert found == Found((Record("2001:db8::1"),), 7.0)


async def test_a_configured_ttl_takes_the_place_of_the_servers_own(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.9 listed.test\n")
    async with name_server({("a.test", "A"): ["192.0.2.1"]}, ttl=7) as server:
        ask = Lookup([("127.0.0.1", server.port)], ("A",), hosts, 300.0)
        assert (await ask("a.test")).ttl == 300.0
        assert (await ask("listed.test")).ttl == limits.RESOLVER_TTL_SECONDS


async def test_the_type_that_was_found_is_asked_for_first_the_next_time() -> None:
    async with name_server({("a.test", "A"): ["192.0.2.1"]}) as server:
        ask = lookup(server)
        await ask("a.test")
        await ask("a.test")
        assert [kind for _, kind in server.asked] == ["SRV", "A", "A"]


async def test_a_name_that_is_not_there_and_a_server_that_fails_are_told_apart() -> None:
    async with name_server({("other.test", "TXT"): ["x"]}) as server:
        ask = lookup(server)
        for name in ("missing.test", "other.test"):
            with pytest.raises(NoSuchName):
                await ask(name)
        server.broken = True
        with pytest.raises(OSError, match="AAAA: "):
            await ask("missing.test")


async def test_the_hosts_file_comes_before_the_server_and_is_read_anew(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 Both.test\n192.0.2.7 both.test # comment\nnonsense x.test\n")
    async with name_server({}) as server:
        ask = lookup(server, hosts=hosts)
        assert (await ask("both.test")).records == (Record("192.0.2.7"),)
        hosts.write_text("::1 both.test six.test\n")
        assert (await ask("six.test")).records == (Record("::1"),)
        assert server.asked == []


def test_a_hosts_file_that_is_missing_has_no_names(tmp_path: Path) -> None:
    assert HostsFile(tmp_path / "none").addresses("localhost") == []


class Answers:
    """A name service under a test's thumb."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.changed: list[str] = []
        self.answer: Found | Exception = Found((Record("192.0.2.1"),), 10.0)
        self.resolver = Resolver(lambda: self.now, self.look_up, self.changed.append)

    async def look_up(self, name: str) -> Found:
        self.asked.append(name)
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def names() -> Answers:
    return Answers()


async def test_an_answer_is_used_for_its_ttl_and_then_until_the_next_one(names: Answers) -> None:
    one, two = (Record("192.0.2.1"),), (Record("192.0.2.2"),)
    assert await names.resolver.resolve("a") == one
    names.answer = Found(two, 10.0)
    names.now = 9.9
    assert await names.resolver.resolve("a") == one
    assert names.asked == ["a"]
    names.now = 10.0
    assert await names.resolver.resolve("a") == one, "nobody waits"
    await names.settle()
    assert names.resolver.known("a") == two
    assert (names.asked, names.changed) == (["a", "a"], ["a", "a"])


@pytest.mark.parametrize("failure", [OSError("down"), TimeoutError(), UnicodeError("label")])
async def test_while_the_service_fails_the_last_answer_stays(
    names: Answers, failure: Exception
) -> None:
    records = await names.resolver.resolve("a")
    names.answer = failure
    for _ in range(3):
        names.now += 1_000.0
        assert names.resolver.known("a") == records
        await names.settle()
    assert len(names.asked) == 4
    assert names.changed == ["a"]


async def test_another_way_to_look_up_is_taken_soon_and_nobody_waits_for_it(
    names: Answers,
) -> None:
    """As a reload brings other name servers."""
    one, two = (Record("192.0.2.1"),), (Record("192.0.2.2"),)
    assert await names.resolver.resolve("a") == one

    async def elsewhere(name: str) -> Found:
        return Found(two, 10.0)

    names.resolver.look_up_by(elsewhere)
    assert names.resolver.known("a") == one
    await names.settle()
    assert names.resolver.known("a") == two
    assert names.asked == ["a"]


async def test_a_name_that_is_gone_loses_its_addresses(names: Answers) -> None:
    await names.resolver.resolve("a")
    names.answer = NoSuchName("no such name")
    names.now = 10.0
    names.resolver.known("a")
    await names.settle()
    with pytest.raises(ResolutionFailed, match="'a' does not resolve: no such name"):
        await names.resolver.resolve("a")


async def test_watched_names_are_asked_for_without_requests_and_after_failures(
    names: Answers,
) -> None:
    names.answer = OSError("down at the start")
    names.resolver.watch("a")
    names.resolver.watch("a")
    names.resolver.watch("192.0.2.1")
    names.resolver.tick(0.0)
    await names.settle()
    assert names.resolver.known("a") == ()
    names.answer = Found((Record("192.0.2.1"),), 10.0)
    names.now = limits.RESOLVER_FAILURE_SECONDS
    names.resolver.tick(names.now)
    await names.settle()
    assert names.resolver.known("a")
    names.resolver.unwatch("a")
    names.now += 11
    names.resolver.tick(names.now)
    await names.settle()
    assert names.asked == ["a"] * 3
    names.resolver.unwatch("a")
    names.now += 11
    names.resolver.tick(names.now)
    await names.settle()
    assert names.asked == ["a"] * 3


async def test_a_ttl_of_0_asks_each_second_at_most(names: Answers) -> None:
    names.answer = Found((Record("192.0.2.1"),), 0.0)
    for tenth in range(25):
        names.now = tenth / 10
        await names.resolver.resolve("a")
        await names.settle()
    assert len(names.asked) == 3


async def test_addresses_are_used_in_turn_and_srv_records_by_weight(names: Answers) -> None:
    names.answer = Found((Record("192.0.2.1"), Record("192.0.2.2")), 99.0)
    await names.resolver.resolve("a")
    row = [names.resolver.next_of("a") for _ in range(4)]
    assert row == [Record("192.0.2.1"), Record("192.0.2.2")] * 2
    heavy, light = Record("192.0.2.1", 80, 3, "x"), Record("192.0.2.2", 80, 0, "y")
    names.answer = Found((heavy, light), 99.0)
    await names.resolver.resolve("b")
    row = [names.resolver.next_of("b") for _ in range(400)]
    assert 295 <= row.count(heavy) <= 305
    assert all(light in row[start : start + 8] for start in range(392))


async def test_names_are_bounded_but_for_those_of_targets(
    names: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESOLVER_NAMES_MAX", 3)
    names.resolver.watch("target")
    for name in ("target", "a", "b", "c", "d", "e"):
        await names.resolver.resolve(name)
    held = [name for name in ("target", "a", "b", "c", "d", "e") if names.resolver.known(name)]
    assert held == ["target", "c", "d", "e"]
