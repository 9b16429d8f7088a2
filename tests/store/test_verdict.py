"""The verdict on an authority that lacks what was confirmed: raised, left alone, or split."""

import random

import pytest

from store.history import Proof, Server, Standing
from store.verdict import (
    ANSWER_SECONDS,
    FACED_MAX,
    HEARD_SECONDS,
    LOOK_SECONDS,
    Ask,
    Compare,
    Effect,
    HistoryVerdict,
    Look,
    Raise,
    Stance,
    reading_of,
    stance_of,
)
from store.version import GENESIS, Head, Version

OLD, NEW = Server("10.0.0.1:5432", 1), Server("10.0.0.2:5432", 2)


def head(revision: int, history: bytes = b"a", epoch: int = 1) -> Head:
    return Head(Version(epoch, 7, revision), history.ljust(32))


def stands(at: Head, proof: Proof = "", server: Server = NEW) -> Standing:
    return Standing(at, server, proof)


def said(server: Server, at: Head, confirmed: Head | None = None, *, holds: bool = True) -> Stance:
    return Stance(server, at, confirmed or at, holds)


LACKS = stands(head(10), "below")
"""This node's authority has lost 11 and 12."""
CONFIRMED = head(12)


class Case:
    """A verdict and what it wanted last."""

    def __init__(self) -> None:
        self.verdict = HistoryVerdict(random.Random(1))
        self.now = 100.0
        self.wants: list[Effect] = []
        self.comparing: list[Effect] = []

    def stood(
        self, standing: Standing = LACKS, confirmed: Head = CONFIRMED, *, to_write: bool = False
    ) -> list[Effect]:
        reading = reading_of(standing, confirmed)
        self.wants = self.verdict.stood(reading, confirmed, self.now, to_write=to_write)
        return self.wants

    def asked(self, *members: str) -> list[Effect]:
        self.wants = self.verdict.asked(members, self.now)
        return self.wants

    def answered(self, member: str, theirs: Stance | None) -> list[Effect]:
        self.wants = self.verdict.answered(member, theirs, self.now)
        self.comparing = self.wants or self.comparing
        return self.wants

    def faced(self, theirs: Stance) -> list[Effect]:
        self.wants = self.verdict.faced(theirs)
        self.comparing = self.wants or self.comparing
        return self.wants

    def compared(self, standing: Standing, *, logged: bool = False) -> list[Effect]:
        """With the head that it wanted compared."""
        (compare,) = [effect for effect in self.comparing if isinstance(effect, Compare)]
        reading = reading_of(standing, compare.head, logged=logged)
        self.wants = self.comparing = self.verdict.compared(reading, self.now)
        return self.wants

    def later(self, seconds: float) -> list[Effect]:
        self.now += seconds
        self.wants = self.verdict.advance(self.now)
        return self.wants

    def split(self, mine: Server = NEW, theirs: Server = OLD) -> "Case":
        """Somebody still reads the lost head elsewhere."""
        self.stood(LACKS._replace(server=mine))
        self.asked("b")
        assert self.answered("b", said(theirs, CONFIRMED)) == [Compare(CONFIRMED)]
        self.compared(LACKS._replace(server=mine))
        assert self.verdict.split is not None
        return self


@pytest.fixture
def case() -> Case:
    return Case()


# One authority that has lost commits


def test_without_proof_nothing_is_asked(case: Case) -> None:
    assert case.stood(stands(head(12))) == []
    assert case.verdict.deadline is None


def test_proof_asks_those_who_claim_more_than_the_authority_has(case: Case) -> None:
    (ask,) = case.stood()
    mine = stance_of(reading_of(LACKS, CONFIRMED), CONFIRMED)
    assert ask == Ask(Version(1, 7, 11), mine)
    assert not mine.holds


def test_a_reused_revision_asks_those_at_the_confirmed_one_and_above(case: Case) -> None:
    (ask,) = case.stood(stands(head(20, b"b"), "reused"))
    assert isinstance(ask, Ask)
    assert ask.at_least == CONFIRMED.version


def test_the_epoch_is_raised_at_once_when_nobody_claims_more(case: Case) -> None:
    case.stood()
    assert case.asked() == [Raise(CONFIRMED)]
    assert case.stood() == [], "not twice"
    case.verdict.raised()
    assert [type(effect) for effect in case.stood()] == [Ask]


def test_it_is_raised_as_soon_as_all_have_answered_that_they_have_it_no_more(case: Case) -> None:
    case.stood()
    case.asked("b", "c", "d")
    assert case.answered("b", None) == []
    assert case.answered("c", said(NEW, head(10), CONFIRMED, holds=False)) == []
    theirs = said(Server("alias:5432", 2), head(10), CONFIRMED, holds=False)
    assert case.answered("d", theirs) == [Compare(CONFIRMED)], "it may be another server"
    assert case.compared(LACKS) == [Raise(CONFIRMED)], "which lacks the same"
    assert case.verdict.split is None


def test_who_does_not_answer_is_waited_for_two_seconds(case: Case) -> None:
    case.stood()
    case.asked("b")
    assert case.verdict.deadline == case.now + ANSWER_SECONDS
    assert case.later(ANSWER_SECONDS - 0.1) == []
    assert case.later(0.1) == [Raise(CONFIRMED)]


def test_an_answer_of_who_was_not_asked_counts_for_nobody_else(case: Case) -> None:
    case.stood()
    case.asked("b")
    assert case.answered("x", None) == []
    assert case.verdict.phase == "asking"


def test_a_server_under_two_names_is_no_split(case: Case) -> None:
    """The member has followed a raise that this node's authority turns out to have, too."""
    raised = head(11, b"b", epoch=2)
    case.stood()
    case.asked("b")
    assert case.answered("b", said(Server("alias:5432", 2), raised)) == [Compare(raised)]
    assert case.compared(stands(raised)) == [Raise(CONFIRMED)], "which will find nothing to do"
    assert case.verdict.split is None


def test_an_authority_that_is_gone_meanwhile_is_not_raised(case: Case) -> None:
    case.stood()
    case.asked("b")
    case.verdict.lost(case.now)
    assert case.verdict.phase == "agreed"
    assert case.verdict.deadline is None
    assert case.answered("b", None) == []


def test_more_stances_than_may_wait_are_dropped(case: Case) -> None:
    case.stood()
    case.asked("b")
    for number in range(FACED_MAX + 5):
        case.answered("x", said(Server(f"s{number}", 1), head(5)))
    for _ in range(FACED_MAX - 1):
        assert case.compared(stands(head(10), server=NEW)) == [Compare(head(5))]
    assert case.compared(stands(head(10), server=NEW)) == []


# Two of them


def test_it_is_a_split_when_somebody_still_reads_the_lost_head_at_another_server(
    case: Case,
) -> None:
    case.split()
    assert case.verdict.phase == "agreed"
    assert case.wants == [], "nobody raises"


@pytest.mark.parametrize(
    ("mine", "theirs", "refuses"),
    [(NEW, OLD, False), (OLD, NEW, True), (OLD, Server("z", 1), True), (OLD, Server("0", 1), True)],
)
def test_the_lower_timeline_refuses_and_at_equal_ones_the_lower_head(
    case: Case, mine: Server, theirs: Server, *, refuses: bool
) -> None:
    assert case.split(mine, theirs).verdict.refuses is refuses


def test_a_history_that_was_raised_goes_on_whatever_its_timeline(case: Case) -> None:
    case.stood(stands(head(12), server=NEW))
    (compare,) = case.faced(said(OLD, head(13, b"b", epoch=2)))
    assert compare == Compare(head(13, b"b", epoch=2))
    case.compared(stands(head(12), "below", NEW))
    assert case.verdict.refuses


def test_what_is_told_late_of_a_server_does_not_undo_what_is_known_of_it(case: Case) -> None:
    case.stood(stands(head(12), server=NEW))
    case.faced(said(OLD, head(13, b"b", epoch=2)))
    case.compared(stands(head(12), "below", NEW))
    assert case.verdict.refuses, "an operator has raised the other one's epoch"
    case.faced(said(OLD, head(12, b"b"), head(13, b"c")))
    case.compared(stands(head(12), "below", NEW))
    assert case.verdict.refuses


def test_who_is_asked_finds_the_split_too(case: Case) -> None:
    """Its own authority has everything; that of the asker, elsewhere, has not."""
    case.stood(stands(head(12), server=OLD))
    theirs = said(NEW, head(10), CONFIRMED, holds=False)
    assert case.faced(theirs) == [Compare(CONFIRMED)]
    case.compared(stands(head(12), server=OLD))
    assert case.verdict.refuses


def test_both_sides_come_to_opposite_answers() -> None:
    """Whatever the heads: both read their servers, and each hears of the other's."""
    sides = [
        (Server("a", t), head(r, h, e)) for t in (1, 2) for r in (9, 11) for e in (1, 2)
        for h in (b"x", b"y")
    ]  # fmt: skip
    for server, at in sides:
        for other, their in sides:
            other = Server("b", other.timeline)
            if at == their:
                continue
            answers = []
            for mine, my, yours, your in ((server, at, other, their), (other, their, server, at)):
                case = Case()
                case.stood(stands(my, server=mine))
                case.faced(said(yours, your))
                case.compared(stands(my, "below" if my.version < your.version else "reused", mine))
                answers.append(case.verdict.refuses)
            assert sorted(answers) == [False, True]


def test_the_side_that_goes_on_raises_for_a_write_and_not_before(case: Case) -> None:
    case.split(mine=NEW, theirs=OLD)
    assert case.stood() == []
    assert case.stood(to_write=True) == [Raise(CONFIRMED)]


def test_the_side_that_refuses_does_not_raise_for_a_write(case: Case) -> None:
    case.split(mine=OLD, theirs=NEW)
    assert case.stood(LACKS._replace(server=OLD), to_write=True) == []


def test_a_split_is_looked_at_again_and_everybody_asked(case: Case) -> None:
    case.split()
    assert case.later(LOOK_SECONDS - 0.1) == []
    assert case.later(LOOK_SECONDS) == [Look()]
    (ask,) = case.stood()
    assert isinstance(ask, Ask)
    assert ask.at_least == GENESIS


def test_it_is_over_when_nobody_stands_elsewhere_any_more_and_then_it_raises(case: Case) -> None:
    case.split(mine=OLD, theirs=NEW)
    case.later(2 * LOOK_SECONDS)
    case.stood(LACKS._replace(server=OLD))
    case.asked("b")
    assert case.verdict.refuses, "not before the answer"
    assert case.answered("b", None) == [Raise(CONFIRMED)]
    assert not case.verdict.refuses


def test_it_goes_on_while_somebody_stands_elsewhere(case: Case) -> None:
    case.split(mine=OLD, theirs=NEW)
    case.later(2 * LOOK_SECONDS)
    case.stood(LACKS._replace(server=OLD))
    case.asked("b", "c")
    case.answered("c", None)
    case.answered("b", said(NEW, CONFIRMED))
    case.compared(LACKS._replace(server=OLD))
    assert case.verdict.refuses
    assert case.verdict.deadline is not None


def test_a_look_that_fails_is_made_again(case: Case) -> None:
    case.split()
    assert case.later(2 * LOOK_SECONDS) == [Look()]
    case.verdict.lost(case.now)
    assert case.verdict.split is not None
    assert case.later(2 * LOOK_SECONDS) == [Look()]


def test_who_has_raised_knows_of_the_other_server_all_the_same(case: Case) -> None:
    """What it left open is in its log: the other server lacks what this one has."""
    case.stood(stands(head(13, epoch=2), server=OLD), head(13, epoch=2))
    case.faced(said(NEW, head(10), CONFIRMED, holds=False))
    case.compared(stands(head(13, epoch=2), server=OLD), logged=True)
    assert case.verdict.split is not None
    assert not case.verdict.refuses


def test_who_is_asked_does_not_begin_to_ask_by_itself(case: Case) -> None:
    case.verdict.noted(reading_of(LACKS, CONFIRMED), CONFIRMED)
    assert (case.verdict.phase, case.verdict.deadline) == ("agreed", None)


def test_of_many_members_each_looks_at_a_split_less_often(case: Case) -> None:
    case.verdict.members = 160
    case.split()
    assert case.later(10 * LOOK_SECONDS - 0.1) == []
    assert case.later(5 * LOOK_SECONDS + 0.2) == [Look()]


# Histories that gossip shows


def test_another_history_heard_of_has_the_own_authority_read_and_the_others_asked(
    case: Case,
) -> None:
    assert case.verdict.heard(case.now) == [Look()]
    (ask,) = case.stood(stands(head(12)))
    assert isinstance(ask, Ask)
    assert ask.at_least == CONFIRMED.version
    case.asked("b")
    theirs = said(OLD, head(12, b"b"))
    assert case.answered("b", theirs) == [Compare(theirs.confirmed)]
    case.compared(stands(head(12), "reused"))
    assert case.verdict.split is not None
    assert not case.verdict.refuses


def test_a_member_that_is_wrong_by_itself_changes_nothing(case: Case) -> None:
    case.verdict.heard(case.now)
    case.stood(stands(head(12)))
    case.asked("b")
    assert case.answered("b", said(NEW, head(12), head(12, b"b"), holds=False)) == []
    assert (case.verdict.split, case.verdict.phase) == (None, "agreed")


def test_what_gossip_shows_is_looked_into_now_and_then_only(case: Case) -> None:
    assert case.verdict.heard(case.now) == [Look()]
    case.stood(stands(head(12)))
    case.asked()
    assert case.verdict.heard(case.now + HEARD_SECONDS - 0.1) == []
    assert case.verdict.heard(case.now + HEARD_SECONDS) == [Look()]
