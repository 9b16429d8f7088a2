"""Finding that two replicas differ, and who of them is damaged: the rules, driven by hand."""

import random

import pytest

from gossip import limits
from gossip.events import Behind, StateDiffers
from gossip.messages.changes import Heartbeat
from gossip.messages.repair import Compare, Confirmed
from gossip.replica import Head, Version
from simulations.authority import EntityReplica, LogAuthority
from simulations.authority.entities import body_of
from tests.gossip.drive import PROFILE, Driver, address, alive

PEERS = (2, 3, 4, 5)
OTHER_STATE = b"o" * 32


class Comparing:
    """Node 1 holds entities; a test plays the others."""

    def __init__(self) -> None:
        self.replica = EntityReplica()
        self.driver = Driver(holds=self.replica)
        self.driver.meet(*PEERS)
        self.authority = LogAuthority()
        self.heads: list[Head] = []
        self.hashes: list[bytes] = []
        for number in range(5):
            self.commit(number)

    def commit(self, number: int) -> None:
        body = body_of([("services", f"{number}", "{}")])
        assert self.replica.offer(*self.authority.commit(body)) == "applied"
        head = Head(*self.replica.head())
        self.heads.append(head)
        self.hashes.append(self.replica.state_hash(head.version) or b"")

    @property
    def head(self) -> Head:
        return self.heads[-1]

    def hear(self, number: int, head: Head, state_hash: bytes) -> None:
        self.driver.receive(number, Heartbeat.of(head, None, state_hash=state_hash))

    def tell(self, number: int, state_hash: bytes) -> None:
        """The exact state of a peer at our head, as an answer."""
        self.driver.receive(number, Compare(self.head, state_hash, answer=True))

    def asked(self) -> list[int]:
        """Who was asked by the last input."""
        return [
            number
            for number in PEERS
            for where, message in self.driver.sent(Compare)
            if where == address(number) and not message.answer
        ]

    def pass_time(self, seconds: float) -> None:
        self.driver.pass_time_answering(seconds, *PEERS)

    def verdicts(self) -> list[str]:
        return [event.verdict for event in self.driver.events(StateDiffers)]

    def count(self, counter: str) -> int:
        return self.driver.core.counters[counter]

    def find(self, number: int = 2) -> None:
        """A peer's state turns out to be another; our own audit passes."""
        for peer in PEERS:
            self.hear(peer, self.head, self.hashes[-1] if peer != number else OTHER_STATE)
        self.tell(number, OTHER_STATE)


@pytest.fixture
def comparing() -> Comparing:
    return Comparing()


def test_what_is_alike_is_not_asked_about(comparing: Comparing) -> None:
    for head, state_hash in zip(comparing.heads, comparing.hashes, strict=True):
        comparing.hear(2, head, state_hash)
        assert comparing.asked() == []
    assert comparing.count("heads_differ") == 0


@pytest.mark.parametrize("behind", [0, 1, 3])
def test_another_state_at_a_version_that_is_remembered_is_asked_about(
    comparing: Comparing, behind: int
) -> None:
    head, state_hash = comparing.heads[-1 - behind], comparing.hashes[-1 - behind]
    comparing.hear(2, head, OTHER_STATE)
    assert comparing.driver.sent(Compare) == [(address(2), Compare(head, state_hash, answer=False))]


def test_a_version_that_is_not_remembered_is_not_compared(comparing: Comparing) -> None:
    for version in ((1, 7, 3), (1, 1, 9), (9, 9, 9)):
        comparing.hear(2, Head(version, b"d" * 32), OTHER_STATE)
        assert comparing.asked() == []


def test_a_member_is_asked_once_in_a_while(comparing: Comparing) -> None:
    for _ in range(3):
        comparing.hear(2, comparing.head, OTHER_STATE)
    assert comparing.count("comparisons_asked") == 1
    assert comparing.count("heads_differ") == 3
    comparing.pass_time(limits.COMPARE_INTERVAL)
    comparing.hear(2, comparing.head, OTHER_STATE)
    assert comparing.count("comparisons_asked") == 2


def test_a_question_is_answered_alike(comparing: Comparing) -> None:
    comparing.driver.receive(2, Compare(comparing.head, comparing.hashes[-1], answer=False))
    ours = Compare(comparing.head, comparing.hashes[-1], answer=True)
    assert comparing.driver.sent(Compare) == [(address(2), ours)]
    comparing.driver.receive(2, Compare(Head((9, 9, 9), b"d" * 32), b"", answer=False))
    assert comparing.driver.sent(Compare) == []
    assert comparing.count("comparisons_unknown") == 1


def test_a_check_that_was_wrong_leads_to_nothing(comparing: Comparing) -> None:
    comparing.hear(2, comparing.head, OTHER_STATE)
    comparing.tell(2, comparing.hashes[-1])
    comparing.pass_time(5.0)
    assert comparing.verdicts() == []
    assert comparing.count("states_differ") == 0


def test_another_digest_is_another_history(comparing: Comparing) -> None:
    other = Head(comparing.head.version, b"f" * 32)
    comparing.hear(2, other, comparing.hashes[-1])
    comparing.driver.receive(2, Compare(other, comparing.hashes[-1], answer=True))
    assert comparing.driver.events(Behind) == [Behind(other.version, "forked")]
    assert comparing.count("states_differ") == 0


def test_answers_that_nobody_asked_for_say_nothing(comparing: Comparing) -> None:
    comparing.tell(2, OTHER_STATE)
    comparing.hear(3, comparing.head, OTHER_STATE)
    comparing.driver.receive(3, Compare(comparing.heads[0], OTHER_STATE, answer=True))
    assert comparing.count("comparisons_unexpected") == 2
    assert comparing.count("states_differ") == 0


def test_whose_objects_do_not_give_its_own_hash_is_damaged(comparing: Comparing) -> None:
    assert comparing.replica.damage(random.Random(1))
    comparing.find()
    comparing.pass_time(0.1)
    assert comparing.verdicts() == ["damaged"]
    assert comparing.asked() == [], "nobody else has to be asked"


def test_who_holds_what_most_hold_is_upheld(comparing: Comparing) -> None:
    comparing.find()
    comparing.pass_time(0.1)
    assert comparing.asked() == [2, 3, 4, 5]
    comparing.tell(2, OTHER_STATE)
    comparing.tell(3, comparing.hashes[-1])
    comparing.tell(4, comparing.hashes[-1])
    comparing.pass_time(PROFILE.probe_timeout)
    assert comparing.verdicts() == []
    assert comparing.count("states_upheld") == 1


def test_who_holds_what_few_hold_is_outvoted(comparing: Comparing) -> None:
    comparing.find()
    comparing.pass_time(0.1)
    for number in PEERS:
        comparing.tell(number, OTHER_STATE)
    comparing.pass_time(0.01)
    assert comparing.verdicts() == ["outvoted"], "as soon as all have answered"


def test_as_many_as_not_is_undecided(comparing: Comparing) -> None:
    comparing.find()
    comparing.pass_time(0.1)
    comparing.tell(2, OTHER_STATE)
    comparing.pass_time(PROFILE.probe_timeout)
    assert comparing.verdicts() == ["undecided"]


def test_who_was_not_asked_has_no_vote(comparing: Comparing) -> None:
    comparing.driver.receive(6, alive(6))
    comparing.find()
    comparing.pass_time(0.1)
    comparing.tell(2, OTHER_STATE)
    comparing.tell(2, OTHER_STATE)
    comparing.tell(6, OTHER_STATE)
    comparing.pass_time(PROFILE.probe_timeout)
    assert comparing.verdicts() == ["undecided"]


def test_after_a_verdict_nothing_is_looked_into_for_a_while(comparing: Comparing) -> None:
    comparing.find()
    comparing.pass_time(1.0)
    assert comparing.count("states_audited") == 1
    for _ in range(3):
        comparing.pass_time(limits.COMPARE_INTERVAL)
        comparing.find()
    assert comparing.count("states_audited") == 1
    comparing.pass_time(limits.DAMAGE_REST_SECONDS)
    comparing.find()
    assert comparing.count("states_audited") == 2


def test_the_authoritys_word_is_above_every_vote(comparing: Comparing) -> None:
    comparing.find()
    comparing.pass_time(0.1)
    for number in (3, 4, 5):
        comparing.tell(number, comparing.hashes[-1])
    confirmed = Confirmed(comparing.heads[1].version, OTHER_STATE)
    answer = Compare(comparing.head, OTHER_STATE, answer=True, confirmed=confirmed)
    comparing.driver.receive(2, answer)
    comparing.pass_time(0.01)
    assert comparing.verdicts() == ["outvoted"]


@pytest.mark.parametrize("version", [(1, 1, 2), (9, 9, 9)])
def test_what_we_held_too_or_do_not_remember_contradicts_nobody(
    comparing: Comparing, version: Version
) -> None:
    comparing.find()
    comparing.pass_time(0.1)
    for number in (3, 4, 5):
        comparing.tell(number, comparing.hashes[-1])
    confirmed = Confirmed(version, comparing.hashes[1])
    answer = Compare(comparing.head, OTHER_STATE, answer=True, confirmed=confirmed)
    comparing.driver.receive(2, answer)
    comparing.pass_time(0.01)
    assert comparing.verdicts() == []


def test_who_has_compared_with_the_authority_is_upheld_and_says_so(comparing: Comparing) -> None:
    comparing.driver.core.state_confirmed()
    comparing.driver.receive(2, Compare(comparing.heads[0], OTHER_STATE, answer=False))
    ((_, answer),) = comparing.driver.sent(Compare)
    assert answer.confirmed == (comparing.head.version, comparing.hashes[-1])
    comparing.pass_time(limits.DAMAGE_REST_SECONDS + 5.0)
    comparing.find()
    comparing.pass_time(0.1)
    for number in PEERS:
        comparing.tell(number, OTHER_STATE)
    comparing.pass_time(PROFILE.probe_timeout)
    assert comparing.verdicts() == []
    assert comparing.count("states_upheld") == 1


def test_what_has_changed_without_a_change_is_confirmed_no_more(comparing: Comparing) -> None:
    comparing.driver.core.state_confirmed()
    assert comparing.replica.misapply(random.Random(1))
    comparing.find()
    comparing.pass_time(0.1)
    for number in PEERS:
        comparing.tell(number, OTHER_STATE)
    comparing.pass_time(0.01)
    assert comparing.verdicts() == ["outvoted"]
