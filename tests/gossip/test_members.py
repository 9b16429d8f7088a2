"""The member table's rules: which claims hold over which."""

from dataclasses import replace

import pytest

from gossip import limits
from gossip.member import Member, Status
from gossip.members import Members, Outcome
from gossip.profiles import LAN
from tests.gossip.drive import address, alive, metadata, node_id, verdict, wire

NOW = 10.0
ALIVE, SUSPECT, FAILED = Status.ALIVE, Status.SUSPECT, Status.FAILED
LEAVING, LEFT = Status.LEAVING, Status.LEFT


@pytest.fixture
def members() -> Members:
    me = Member(node_id(1), 1, 1, 1, ALIVE, address(1), metadata("node-1"), 0.0)
    return Members(me, LAN)


def hold(members: Members, status: Status, incarnation: int = 5, generation: int = 1) -> Member:
    """Bring node 2 into a status at an incarnation."""
    members.admit_alive(alive(2, incarnation, generation), NOW)
    if status is not ALIVE:
        members.admit_verdict(verdict(2, status, incarnation, generation), NOW)
    member = members.get(node_id(2))
    assert member is not None
    assert member.status is status
    return member


@pytest.mark.parametrize(
    ("held", "claimed", "incarnation", "outcome"),
    [
        (ALIVE, SUSPECT, 5, "changed"),
        (ALIVE, FAILED, 5, "changed"),
        (ALIVE, LEAVING, 5, "changed"),
        (ALIVE, LEFT, 5, "changed"),
        (ALIVE, SUSPECT, 4, "stale"),
        (ALIVE, FAILED, 4, "stale"),
        (SUSPECT, SUSPECT, 6, "changed"),
        (SUSPECT, FAILED, 5, "changed"),
        (SUSPECT, FAILED, 4, "stale"),
        (FAILED, SUSPECT, 5, "stale"),
        (FAILED, FAILED, 5, "same"),
        (FAILED, FAILED, 6, "changed"),
        (FAILED, LEFT, 5, "changed"),
        (LEAVING, SUSPECT, 5, "stale"),
        (LEAVING, FAILED, 5, "stale"),
        (LEAVING, LEFT, 5, "changed"),
        (LEFT, FAILED, 5, "stale"),
        (LEFT, LEFT, 5, "same"),
    ],
)
def test_a_verdict_holds_by_incarnation_then_rank(
    members: Members, held: Status, claimed: Status, incarnation: int, outcome: Outcome
) -> None:
    member = hold(members, held)
    admission = members.admit_verdict(verdict(2, claimed, incarnation), NOW)
    assert admission.outcome == outcome
    assert member.status is (claimed if outcome == "changed" else held)


@pytest.mark.parametrize("held", [SUSPECT, FAILED, LEAVING, LEFT])
def test_only_a_higher_incarnation_brings_a_member_back(members: Members, held: Status) -> None:
    member = hold(members, held, incarnation=5)
    assert members.admit_alive(alive(2, 5), NOW).outcome == "stale"
    assert members.admit_alive(alive(2, 6), NOW).outcome == "changed"
    assert member.status is ALIVE


@pytest.mark.parametrize("held", [ALIVE, SUSPECT, FAILED, LEAVING, LEFT])
def test_a_newer_generation_wins_at_once_whatever_its_address(
    members: Members, held: Status
) -> None:
    member = hold(members, held, incarnation=900)
    assert members.admit_alive(alive(2, 1, generation=2, at=77), NOW).outcome == "changed"
    assert (member.status, member.generation, member.incarnation) == (ALIVE, 2, 1)
    assert member.address == address(77)


def test_an_older_generation_is_stale_at_any_incarnation(members: Members) -> None:
    hold(members, ALIVE, incarnation=1, generation=2)
    assert members.admit_alive(alive(2, 999, generation=1), NOW).outcome == "stale"
    assert members.admit_verdict(verdict(2, FAILED, 999, generation=1), NOW).outcome == "stale"


def test_the_held_incarnation_grows_even_when_the_status_stays(members: Members) -> None:
    # hashicorp/memberlist#197: failed at 1, failed at 10 was dropped, alive at 2 raised the dead.
    member = hold(members, FAILED, incarnation=1)
    members.admit_verdict(verdict(2, FAILED, 10), NOW)
    assert members.admit_alive(alive(2, 2), NOW).outcome == "stale"
    assert member.status is FAILED


@pytest.mark.parametrize("status", [SUSPECT, FAILED, LEAVING, LEFT])
def test_a_verdict_about_an_unknown_member_is_not_admitted(
    members: Members, status: Status
) -> None:
    assert members.admit_verdict(verdict(3, status), NOW).outcome == "unknown"
    assert members.get(node_id(3)) is None


def test_a_verdict_of_a_later_generation_is_not_admitted(members: Members) -> None:
    member = hold(members, ALIVE)
    assert members.admit_verdict(verdict(2, FAILED, 1, generation=2), NOW).outcome == "unknown"
    assert member.status is ALIVE


@pytest.mark.parametrize(
    ("held", "claimed"), [(FAILED, FAILED), (FAILED, LEFT), (LEFT, FAILED), (LEFT, LEFT)]
)
def test_of_two_lives_that_are_over_the_later_one_is_held(
    members: Members, held: Status, claimed: Status
) -> None:
    member = hold(members, held)
    later = verdict(2, claimed, 1, generation=2)
    assert members.admit_verdict(later, NOW).outcome == "changed"
    assert (member.generation, member.incarnation, member.status) == (2, 1, claimed)
    assert members.admit_alive(alive(2, 9), NOW).outcome == "stale", "of the life before"
    assert members.admit_alive(alive(2, 2, generation=2), NOW).outcome == "changed", "it refutes"


@pytest.mark.parametrize("claimed", [SUSPECT, LEAVING])
def test_a_later_life_that_may_go_on_is_known_by_its_record_alone(
    members: Members, claimed: Status
) -> None:
    member = hold(members, FAILED)
    assert members.admit_verdict(verdict(2, claimed, 1, generation=2), NOW).outcome == "unknown"
    assert member.generation == 1


def test_a_further_accuser_confirms_and_the_same_one_does_not(members: Members) -> None:
    for number in (2, 3, 4, 5):
        members.admit_alive(alive(number), NOW)
    members.admit_verdict(verdict(2, SUSPECT, by=3), NOW)
    assert members.admit_verdict(verdict(2, SUSPECT, by=3), NOW).outcome == "same"
    assert members.admit_verdict(verdict(2, SUSPECT, by=4), NOW).outcome == "confirmed"


def test_failed_members_leave_the_listing_after_failed_ttl(members: Members) -> None:
    hold(members, FAILED)
    members.sweep(NOW + LAN.failed_ttl - 1)
    assert members.get(node_id(2)) is not None
    members.sweep(NOW + LAN.failed_ttl + 1)
    assert members.get(node_id(2)) is None


def test_members_that_left_leave_the_listing_sooner(members: Members) -> None:
    hold(members, LEFT)
    members.sweep(NOW + LAN.left_ttl + 1)
    assert members.get(node_id(2)) is None


def test_a_leaving_member_that_falls_silent_is_to_be_declared_left(members: Members) -> None:
    member = hold(members, LEAVING)
    assert members.sweep(NOW + LAN.leaving_timeout + 1) == [member]


def test_a_tombstone_keeps_an_old_alive_from_raising_the_dead(members: Members) -> None:
    hold(members, FAILED, incarnation=5)
    members.sweep(NOW + LAN.failed_ttl + 1)
    later = NOW + LAN.failed_ttl + 2
    assert members.admit_alive(alive(2, 5), later).outcome == "stale"
    assert members.held_claim(wire(2)) == verdict(2, FAILED, 5, by=1)
    assert members.admit_alive(alive(2, 6), later).outcome == "changed"


def test_tombstones_are_bounded_by_age(members: Members) -> None:
    hold(members, FAILED, incarnation=5)
    members.sweep(NOW + LAN.failed_ttl + 1)
    members.sweep(NOW + LAN.failed_ttl + LAN.tombstone_ttl + 2)
    assert members.held_claim(wire(2)) is None


def test_tombstones_and_members_are_bounded_by_count(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TOMBSTONES_MAX", 2)
    monkeypatch.setattr(limits, "MEMBERS_MAX", 4)
    for number in (2, 3, 4):
        assert members.admit_alive(alive(number), NOW).outcome == "changed"
    assert members.admit_alive(alive(5), NOW).outcome == "refused"
    for number in (2, 3, 4):
        members.admit_verdict(verdict(number, LEFT), NOW)
    members.sweep(NOW + LAN.left_ttl + 1)
    held = [members.held_claim(wire(number)) is not None for number in (2, 3, 4)]
    assert held == [False, True, True], "the oldest tombstone went"


@pytest.mark.parametrize("status", [FAILED, LEFT])
def test_a_storm_of_new_ids_pushes_out_the_longest_dead_and_never_the_living(
    status: Status, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """quickwit-oss/quickwit#5446: each crash of a loop came back with a new id."""
    monkeypatch.setattr(limits, "MEMBERS_MAX", 4)
    for number in (2, 3, 4):
        members.admit_alive(alive(number), NOW)
    members.admit_verdict(verdict(4, status), NOW + 1)
    members.admit_verdict(verdict(3, status), NOW + 2)
    assert members.admit_alive(alive(5), NOW + 3).outcome == "changed"
    assert [member.node_id for member in members.listed()] == [node_id(n) for n in (1, 2, 3, 5)]
    assert members.held_claim(wire(4)) == verdict(4, status, by=1), "a tombstone stays"


def test_only_the_newest_generation_of_a_node_has_a_tombstone(members: Members) -> None:
    hold(members, LEFT, incarnation=9, generation=1)
    members.sweep(NOW + LAN.left_ttl + 1)
    members.admit_alive(alive(2, 1, generation=2), NOW)
    members.admit_verdict(verdict(2, LEFT, 1, generation=2), NOW)
    members.sweep(NOW + 2 * LAN.left_ttl + 2)
    assert members.held_claim(wire(2)) == verdict(2, LEFT, 1, generation=2, by=1)
    assert members.admit_alive(alive(2, 50, generation=1), NOW).outcome == "stale"


def test_a_tombstone_takes_in_later_evidence_of_the_same_life(members: Members) -> None:
    """al8n/memberlist#197, in the grave: failed at 9 was dropped, alive at 7 raised the dead."""
    hold(members, FAILED, incarnation=5)
    later = NOW + LAN.failed_ttl + 1
    members.sweep(later)
    assert members.admit_verdict(verdict(2, FAILED, 9), later).outcome == "unknown"
    assert members.admit_alive(alive(2, 7), later).outcome == "stale"
    assert members.admit_alive(alive(2, 10), later).outcome == "changed"


def test_news_of_a_forgotten_node_from_those_who_still_list_it_does_not_raise_it(
    members: Members,
) -> None:
    """chitchat#94: nodes that forgot at different times taught each other the dead again."""
    hold(members, FAILED, incarnation=5)
    later = NOW + LAN.failed_ttl + 1
    members.sweep(later)
    for _ in range(3):
        assert members.admit_alive(alive(2, 5), later).outcome == "stale"
        assert members.admit_verdict(verdict(2, FAILED, 5), later).outcome == "unknown"
    assert members.get(node_id(2)) is None


@pytest.mark.parametrize("first", [2, 7])
def test_of_two_processes_with_one_generation_the_greater_tag_holds_everywhere(
    first: int, members: Members
) -> None:
    claims = {tag: alive(2)._replace(tag=tag, address=address(tag)) for tag in (2, 7)}
    members.admit_alive(claims[first], NOW)
    members.admit_alive(claims[9 - first], NOW)
    member = members.get(node_id(2))
    assert member is not None
    assert (member.tag, member.address) == (7, address(7))
    assert members.admit_alive(claims[2], NOW).outcome == "stale", "its sender is told"


def test_the_profile_decides_how_long_failed_members_are_listed() -> None:
    me = Member(node_id(1), 1, 1, 1, ALIVE, address(1), metadata("node-1"), 0.0)
    members = Members(me, replace(LAN, failed_ttl=5.0))
    hold(members, FAILED)
    members.sweep(NOW + 6)
    assert members.get(node_id(2)) is None


def test_the_authoritys_word_is_news_once(members: Members) -> None:
    hold(members, ALIVE, incarnation=5, generation=3)
    word = verdict(2, LEFT, limits.COUNTER_MAX, 3)
    assert members.remove(word, NOW).outcome == "changed"
    assert members.remove(word, NOW).outcome == "same"


def test_of_the_failed_that_left_the_listing_so_many_addresses_are_remembered(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FORMER_MAX", 2)
    for number in (2, 3, 4):
        members.admit_alive(alive(number), NOW)
        members.admit_verdict(verdict(number, FAILED), NOW + number)
    members.sweep(NOW + LAN.failed_ttl + 100.0)
    assert sorted(members.former) == [address(3), address(4)]


def test_who_is_expelled_is_not_listed_any_more(members: Members) -> None:
    member = hold(members, SUSPECT)
    members.expel(member, NOW)
    assert members.get(node_id(2)) is None
    assert members.buried == [member]
