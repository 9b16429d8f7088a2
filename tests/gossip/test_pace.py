"""Backpressure: who lacks too much takes a whole state, and writers wait for the median member."""

import pytest

from gossip import limits
from gossip.events import Behind
from gossip.messages.changes import Distant, Heartbeat, Pull, Push, Request
from gossip.messages.spreading import Holds
from gossip.replica import Changeset, Head
from simulations.authority import EMPTY
from tests.gossip.drive import PROFILE, Driver, alive


def cluster_of(size: int) -> Driver:
    driver = Driver()
    driver.core.acquaint([alive(number) for number in range(2, size + 1)], driver.now)
    driver.core.effects()
    return driver


def head_of(changeset: Changeset) -> Head:
    return Head(changeset.version, changeset.digest)


def serve(driver: Driver, changesets: int) -> list[Head]:
    """The heads that this node has served; it has committed so many."""
    heads = [Head(*driver.replica.head())]
    for number in range(changesets):
        changeset = driver.authority.commit(b"%d" % number)
        driver.replica.offer(*changeset)
        heads.append(head_of(changeset))
    driver.core.authority_confirmed(heads[-1], driver.now)
    return heads


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GAP_CHANGESETS_MAX", 20)
    monkeypatch.setattr(limits, "LAG_CHANGESETS_MAX", 10)


def test_a_gap_too_long_to_be_worth_sending_is_refused() -> None:
    driver = cluster_of(3)
    heads = serve(driver, 30)
    driver.receive(2, Request(heads[9]))
    assert [message for _, message in driver.sent(Distant)] == [Distant(heads[9])]
    assert driver.sent(Push) == []
    driver.receive_table(2, Pull(heads[9]))
    assert driver.framed(Distant) == [Distant(heads[9])]
    assert driver.core.counters["repairs_distant"] == 2
    driver.receive(2, Request(heads[10]))
    assert len(driver.sent(Push)) == 20


def test_who_is_sent_away_goes_on_to_the_whole_state_at_once() -> None:
    driver = cluster_of(4)
    far = [driver.authority.commit(b"x") for _ in range(30)][-1]
    driver.receive(2, Heartbeat.of(head_of(far), None))
    driver.pass_time(PROFILE.repair_patience)
    driver.receive(2, Distant(EMPTY))
    driver.pass_time(0.0)
    assert driver.events(Behind) == [Behind(far.version, "distant")]
    assert driver.core.counters["repairs_sent_away"] == 1


def test_nobody_is_sent_away_by_a_lie() -> None:
    driver = cluster_of(4)
    near = driver.authority.commit(b"x")
    for number in (2, 3):
        driver.receive(number, Heartbeat.of(head_of(near), None))
    driver.pass_time(PROFILE.repair_patience)
    asked = driver.core.counters["repairs_requested"]
    driver.receive(2, Distant(EMPTY))
    driver.pass_time(0.001)
    assert driver.events(Behind) == []
    assert driver.core.counters["repairs_requested"] == asked + 1, "another peer is asked"


def lag(driver: Driver, heads: list[Head], *lags: int) -> None:
    """Members 2, 3, … tell that they are so many changesets behind."""
    for number, behind in enumerate(lags, 2):
        driver.receive(number, Heartbeat.of(heads[-1 - behind], None))


def test_writers_do_not_wait_while_the_others_keep_up() -> None:
    driver = cluster_of(6)
    heads = serve(driver, 30)
    assert driver.core.write_pause(driver.now) == 0.0, "nobody was heard yet"
    lag(driver, heads, 0, 1, 10, 10, 10)
    assert driver.core.write_pause(driver.now) == 0.0


def test_a_few_that_are_far_behind_slow_nobody() -> None:
    driver = cluster_of(6)
    heads = serve(driver, 30)
    lag(driver, heads, 29, 29, 0, 0, 0)
    assert driver.core.write_pause(driver.now) == 0.0


def test_writers_wait_in_proportion_when_the_median_member_is_behind() -> None:
    driver = cluster_of(6)
    heads = serve(driver, 30)
    lag(driver, heads, 15, 15, 15, 0, 0)
    pause = driver.core.write_pause(driver.now)
    lag(driver, heads, 20, 20, 20, 20, 0)
    assert pause > 0.0, "it waits"
    # A member that told a lower head than before is taken for a late packet.
    assert driver.core.write_pause(driver.now) == pause
    assert driver.core.counters["writes_slowed"] == 2


def test_the_wait_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRITE_PAUSE_SECONDS_MAX", 0.000_1)
    driver = cluster_of(4)
    heads = serve(driver, 30)
    lag(driver, heads, 29, 29, 29)
    assert driver.core.write_pause(driver.now) == 0.000_1


def test_what_was_told_a_while_ago_slows_nobody() -> None:
    driver = cluster_of(4)
    heads = serve(driver, 30)
    lag(driver, heads, 29, 29, 29)
    assert driver.core.write_pause(driver.now) > 0.0
    assert driver.core.write_pause(driver.now + 10.0) == 0.0


def test_one_laggard_of_many_is_no_sample() -> None:
    driver = cluster_of(50)
    heads = serve(driver, 30)
    lag(driver, heads, 29)
    assert driver.core.write_pause(driver.now) == 0.0
    pair = cluster_of(2)
    lag(pair, serve(pair, 30), 29)
    assert pair.core.write_pause(pair.now) > 0.0, "in a pair there is no other"


def test_announcements_tell_how_far_members_are_too() -> None:
    driver = cluster_of(4)
    heads = serve(driver, 30)
    for number in (2, 3, 4):
        driver.receive(number, Holds(heads[5].version, ()))
    assert driver.core.write_pause(driver.now) > 0.0


def test_a_member_of_an_older_history_does_not_slow_writers() -> None:
    driver = cluster_of(4)
    serve(driver, 30)
    for number in (2, 3, 4):
        driver.receive(number, Heartbeat.of(Head((0, 9, 1), b"o" * 32), None))
    assert driver.core.write_pause(driver.now) == 0.0
