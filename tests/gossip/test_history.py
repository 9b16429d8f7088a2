"""Asking members to read their authority again; epochs that gossip alone doesn't bring."""

import pytest

from gossip import limits
from gossip.events import EpochHeard, HistoryAnswered, HistoryAsked
from gossip.messages.changes import Announce, Heartbeat, Push
from gossip.messages.history import Answer, Question, Stance
from gossip.replica import GENESIS, Changeset, Head, Verdict, Version
from simulations.authority.log import LogReplica, chain
from tests.gossip.drive import Driver, address, node_id, packet

HERE = Stance("here", 1, Head((1, 1, 3), b"h" * 32), Head((1, 1, 5), b"c" * 32), holds=False)
THERE = Stance("there", 2, Head((1, 1, 5), b"c" * 32), Head((1, 1, 5), b"c" * 32), holds=True)


def at(revision: int, epoch: int = 1) -> Heartbeat:
    return Heartbeat.of(Head((epoch, 1, revision), b"d" * 32), 1.0)


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.meet(2, 3, 4)
    driver.receive(2, at(4))
    driver.receive(3, at(5))
    return driver


def ask(driver: Driver, at_least: Version = (1, 1, 4)) -> list[str]:
    asked = driver.core.ask_history(at_least, HERE, driver.now)
    driver.effects = driver.core.effects()
    return asked


def questions(driver: Driver) -> list[tuple[str, int]]:
    return [(where[0], message.sequence) for where, message in driver.sent(Question)]


def test_members_that_claim_so_much_are_asked_and_told_how_it_stands_here(driver: Driver) -> None:
    assert ask(driver) == [node_id(2), node_id(3)]
    sent = driver.sent(Question)
    assert [where for where, _ in sent] == [address(2), address(3)]
    assert {message.mine for _, message in sent} == {HERE}
    assert ask(driver, (1, 1, 6)) == []
    assert driver.sent(Question) == []


def test_of_many_some_are_asked() -> None:
    driver = Driver()
    many = range(2, limits.HISTORY_ASKED_MAX + 12)
    driver.meet(*many)
    for number in many:
        driver.receive(number, at(9))
    assert len(ask(driver)) == limits.HISTORY_ASKED_MAX


def test_who_does_not_answer_is_asked_again_until_the_time_is_over(driver: Driver) -> None:
    ask(driver)
    ((_, sequence), _) = questions(driver)
    driver.receive(2, Answer(sequence, THERE))
    assert driver.events(HistoryAnswered) == [HistoryAnswered(node_id(2), THERE)]
    driver.pass_time(limits.HISTORY_REPEAT_SECONDS)
    assert questions(driver) == [(address(3)[0], sequence)]
    driver.pass_time(limits.HISTORY_SECONDS)
    assert len(questions(driver)) <= limits.HISTORY_SECONDS / limits.HISTORY_REPEAT_SECONDS
    driver.pass_time(limits.HISTORY_SECONDS)
    assert questions(driver) == []


def test_an_answer_counts_once_and_only_for_the_last_question(driver: Driver) -> None:
    ask(driver)
    ((_, old), _) = questions(driver)
    ask(driver)
    ((_, sequence), _) = questions(driver)
    driver.receive(2, Answer(old, THERE))
    assert driver.events(HistoryAnswered) == []
    driver.receive(4, Answer(sequence, THERE))
    assert driver.events(HistoryAnswered) == [], "it wasn't asked"
    driver.receive(2, Answer(sequence, None), Answer(sequence, THERE))
    assert driver.events(HistoryAnswered) == [HistoryAnswered(node_id(2), None)]
    assert driver.core.counters["histories_unexpected"] == 3


def test_a_question_is_looked_into_once_however_often_it_comes(driver: Driver) -> None:
    driver.receive(2, Question(7, THERE), Question(7, THERE))
    assert driver.events(HistoryAsked) == [HistoryAsked(node_id(2), 7, THERE)]
    driver.core.answer_history(node_id(2), 7, HERE)
    driver.effects = driver.core.effects()
    assert driver.sent(Answer) == [(address(2), Answer(7, HERE))]
    driver.receive(2, Question(7, THERE))
    assert driver.events(HistoryAsked) == []
    assert driver.sent(Answer) == [(address(2), Answer(7, HERE))], "the answer was lost"
    driver.receive(2, Question(8, THERE))
    assert [event.sequence for event in driver.events(HistoryAsked)] == [8]


def test_strangers_ask_in_vain(driver: Driver) -> None:
    driver.receive(9, Question(7, THERE))
    assert driver.events(HistoryAsked) == []
    assert driver.core.counters["dropped_stranger"] == 1


def test_the_questions_of_others_that_are_remembered_are_bounded(driver: Driver) -> None:
    for sequence in range(limits.HISTORY_QUESTIONS_MAX + 1):
        driver.receive(2, Question(sequence, THERE))
    driver.receive(2, Question(0, THERE))
    assert len(driver.events(HistoryAsked)) == 1, "the oldest was forgotten"
    driver.receive(2, Question(2, THERE))
    assert driver.events(HistoryAsked) == []


def test_the_longest_question_fits_a_packet_with_all_that_may_ride_along() -> None:
    head = Head((limits.REVISION_MAX, limits.TAG_MAX, limits.REVISION_MAX), b"d" * 32)
    longest = Stance("s" * limits.SERVER_BYTES_MAX, limits.TIMELINE_MAX, head, head, holds=True)
    assert len(packet(1, Question(2**32 - 1, longest))) < limits.PACKET_BODY_BYTES_MAX / 2


# Epochs


class WithAuthority(LogReplica):
    """A node's replica while its own authority answers: higher epochs are read there."""

    def offer(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        if version[0] > self.head()[0][0] > 0:
            return "unconfirmed"
        return super().offer(version, predecessor, digest, body)


def raised(driver: Driver) -> Changeset:
    """A raise that follows what is held."""
    (_, _, revision), digest = driver.replica.head()
    return Changeset((2, 9, revision + 1), digest, chain(digest, b"epoch"), b"epoch")


@pytest.fixture
def following() -> Driver:
    driver = Driver(replica=WithAuthority())
    driver.meet(2)
    driver.replica.offer(*driver.authority.commit(b"first"))
    return driver


def test_an_epoch_that_a_peer_pushes_is_told_and_not_applied(following: Driver) -> None:
    epoch = raised(following)
    following.receive(2, Push(epoch, 0.0, 0))
    assert following.events(EpochHeard) == [EpochHeard(epoch.version)]
    assert following.replica.head()[0] == (1, 1, 1)
    following.receive(2, Push(epoch, 0.0, 0))
    assert following.events(EpochHeard) == [], "it is told once"
    assert following.core.counters["epochs_unconfirmed"] == 2


def test_what_comes_after_it_goes_in_once_the_authority_has_confirmed_it(
    following: Driver,
) -> None:
    epoch = raised(following)
    after = Changeset((2, 9, 3), epoch.digest, chain(epoch.digest, b"x"), b"x")
    following.receive(2, Push(epoch, 0.0, 0))
    following.receive(2, Push(after, 0.0, 0))
    assert LogReplica.offer(following.replica, *epoch) == "applied"
    following.core.authority_confirmed(Head(epoch.version, epoch.digest), following.now)
    following.receive(2, Push(after, 0.0, 0))
    assert following.replica.head()[0] == after.version


def test_a_head_of_a_higher_epoch_is_told_at_once(following: Driver) -> None:
    following.receive(2, at(1, epoch=2))
    assert following.events(EpochHeard) == [EpochHeard((2, 1, 1))]
    following.receive(2, Announce(Head((2, 1, 2), b"d" * 32)), at(2, epoch=2))
    assert following.events(EpochHeard) == []


def test_a_node_that_holds_nothing_yet_hears_of_no_other_epoch() -> None:
    driver = Driver()
    driver.meet(2)
    assert driver.replica.head()[0] == GENESIS
    driver.receive(2, at(1, epoch=2))
    assert driver.events(EpochHeard) == []
