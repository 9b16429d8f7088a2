"""Which writes share a transaction, and what each is told, step by step."""

import pytest

from store.authority import Committed, Create, Mutation, Put
from store.changeset import Changeset
from store.errors import AuthorityUnavailable, EntityError, HistoryForked, OutcomeUnknown
from store.history import Server, Standing
from store.limits import ATTEMPTS_MAX, COMMITS_MAX
from store.transaction import WriteRequest
from store.version import EMPTY, Version
from store.write import Outcome
from store.write_queue import Ticket, WriteQueue

DEADLINE = 5.0
REFUSAL = EntityError(5, "unique constraint violation", "taken", {})
BUSY = AuthorityUnavailable("busy")


def ticket(name: str, *, put: bool = False, mutations: int = 1) -> Ticket:
    mutation: Mutation = Put("services", name, {}) if put else Create("services", {"name": name})
    request = WriteRequest((mutation,) * mutations, name.encode() * 16, "", 1.0)
    return Ticket(request, DEADLINE)


def names(tickets: tuple[Ticket, ...]) -> str:
    return "".join(item.request.write_id[:1].decode() for item in tickets)


def queue_of(
    *tickets: Ticket, together_max: int = 64, mutations_max: int = 256, waiting_max: int = 100
) -> WriteQueue:
    queue = WriteQueue(together_max, mutations_max, waiting_max)
    for item in tickets:
        queue.put(item)
    return queue


def committed(revision: int) -> Committed:
    changeset = Changeset(Version(1, 1, revision), b"", bytes([revision]) * 32, b"")
    return Committed(EMPTY, changeset, ())


NO_CHANGE = Committed(EMPTY, None, ())


class TestWhatGoesTogether:
    def test_what_waits_while_a_transaction_is_under_way_shares_the_next(self) -> None:
        queue = queue_of(ticket("a"))
        assert names(queue.take()) == "a"
        for name in "bcd":
            queue.put(ticket(name))
        assert queue.take() == ()
        queue.committed([committed(1)])
        assert names(queue.take()) == "bcd"
        queue.committed([committed(2), committed(3), committed(4)])
        assert queue.take() == ()

    def test_is_bounded_by_writers(self) -> None:
        queue = queue_of(*(ticket(name) for name in "abcde"), together_max=2)
        taken = []
        while tickets := queue.take():
            taken.append(names(tickets))
            queue.committed([NO_CHANGE] * len(tickets))
        assert taken == ["ab", "cd", "e"]

    def test_is_bounded_by_mutations_but_a_long_one_goes_alone(self) -> None:
        queue = queue_of(
            *(ticket("a", mutations=2), ticket("b", mutations=9), ticket("c"), ticket("d")),
            mutations_max=3,
        )
        taken = []
        while tickets := queue.take():
            taken.append(names(tickets))
            queue.committed([NO_CHANGE] * len(tickets))
        assert taken == ["a", "b", "cd"]

    def test_a_retry_waits_for_its_first_try(self) -> None:
        queue = queue_of(ticket("a"), ticket("b"), ticket("a"))
        assert names(queue.take()) == "ab"

    def test_too_many_that_wait_are_refused_and_counted(self) -> None:
        queue = queue_of(ticket("a"), ticket("b"), waiting_max=2)
        with pytest.raises(AuthorityUnavailable, match="2 writes wait for the database already"):
            queue.put(ticket("c"))
        assert queue.counters["writes_refused"] == 1
        assert names(queue.take()) == "ab"
        queue.put(ticket("c"))

    def test_one_that_was_withdrawn_is_not_taken(self) -> None:
        first, second = ticket("a"), ticket("b")
        queue = queue_of(first, second)
        assert queue.withdraw(first, timed_out=True)
        assert not queue.withdraw(first)
        assert names(queue.take()) == "b"
        assert not queue.withdraw(second)
        assert queue.counters["writes_timed_out"] == 1


class TestAnswers:
    def test_each_write_gets_its_own_outcome(self) -> None:
        tickets = [ticket(name) for name in "abc"]
        queue = queue_of(*tickets)
        queue.take()
        outcomes: list[Outcome] = [committed(1), REFUSAL, committed(2)]
        assert queue.committed(outcomes) == list(zip(tickets, outcomes, strict=True))

    def test_writes_and_transactions_are_counted(self) -> None:
        queue = queue_of(ticket("a"), ticket("b"), ticket("c"))
        queue.take()
        queue.committed([committed(1), REFUSAL, NO_CHANGE])
        queue.put(ticket("d"))
        queue.take()
        queue.committed([committed(2)])
        counted = {name: count for name, count in queue.counters.items() if count}
        assert counted == {
            "transactions": 2,
            "transactions_shared": 1,
            "writes": 4,
            "writes_committed": 2,
            "writes_forbidden": 1,
        }

    def test_one_that_lost_a_race_is_refused_and_the_others_go_again(self) -> None:
        tickets = [ticket(name) for name in "abc"]
        queue = queue_of(*tickets)
        queue.take()
        queue.put(ticket("d"))
        assert queue.raced(1, REFUSAL) == [(tickets[1], REFUSAL)]
        assert names(queue.take()) == "acd"

    def test_an_upsert_that_lost_a_race_is_done_again_but_not_for_ever(self) -> None:
        loser = ticket("b", put=True)
        queue = queue_of(ticket("a"), loser)
        for _ in range(ATTEMPTS_MAX - 1):
            assert names(queue.take()) == "ab"
            assert queue.raced(1, REFUSAL) == []
        assert names(queue.take()) == "ab"
        assert queue.raced(1, REFUSAL) == [(loser, REFUSAL)]

    def test_a_history_that_was_left_is_told_to_all_and_counted(self) -> None:
        queue = queue_of(ticket("a"), ticket("b"))
        queue.take()
        standing = Standing(EMPTY, Server("db:5432", 1), "below")
        answers = queue.forked(lambda: HistoryForked(standing))
        assert [(names((item,)), type(answer)) for item, answer in answers] == [
            ("a", HistoryForked),
            ("b", HistoryForked),
        ]
        assert queue.counters["writes_forked"] == 1
        assert queue.take() == ()

    def test_a_failure_is_told_to_all_each_with_an_error_of_its_own(self) -> None:
        queue = queue_of(ticket("a"), ticket("b"))
        queue.take()
        answers = queue.failed(lambda: AuthorityUnavailable("gone"))
        assert [str(answer) for _, answer in answers] == ["gone", "gone"]
        assert answers[0][1] is not answers[1][1]
        assert queue.take() == ()


class TestLocksOfOthers:
    def test_split_a_transaction_and_the_one_that_is_kept_out_goes_behind_the_others(
        self,
    ) -> None:
        queue = queue_of(*(ticket(name) for name in "abc"))
        queue.take()
        assert queue.blocked(BUSY, now=2.0) == []
        assert names(queue.take()) == "a"
        assert queue.blocked(BUSY, now=4.0) == []
        for name in "bc":
            assert names(queue.take()) == name
            queue.committed([NO_CHANGE])
        assert names(queue.take()) == "a"

    def test_are_waited_for_until_the_deadline(self) -> None:
        waiting = ticket("a")
        queue = queue_of(waiting)
        queue.take()
        assert queue.blocked(BUSY, now=DEADLINE - 0.1) == []
        queue.take()
        assert queue.blocked(BUSY, now=DEADLINE) == [(waiting, BUSY)]


class TestLostCommits:
    def test_that_took_effect_are_answered_as_if_nothing_had_been(self) -> None:
        tickets = [ticket(name) for name in "abc"]
        queue = queue_of(*tickets)
        queue.take()
        outcomes: list[Outcome] = [committed(1), REFUSAL, NO_CHANGE]
        changeset = committed(1).changeset
        assert changeset is not None
        answers = queue.looked_up(outcomes, {b"a" * 16: changeset}, "lost")
        assert answers == list(zip(tickets, outcomes, strict=True))

    def test_that_came_to_nothing_are_made_again_and_then_told(self) -> None:
        queue = queue_of(ticket("a"), ticket("b"))
        for _ in range(COMMITS_MAX - 1):
            assert names(queue.take()) == "ab"
            assert queue.looked_up([committed(1), REFUSAL], {}, "lost") == []
        assert names(queue.take()) == "ab"
        answers = queue.looked_up([committed(1), REFUSAL], {}, "lost")
        assert [str(answer) for _, answer in answers] == ["lost; nothing was written"] * 2

    def test_of_which_another_wrote_one_meanwhile_are_made_again(self) -> None:
        """A client's retry elsewhere has that write id in the log, but not this transaction."""
        queue = queue_of(ticket("a"), ticket("b"))
        queue.take()
        theirs = committed(9).changeset
        assert theirs is not None
        assert queue.looked_up([committed(1), committed(2)], {b"a" * 16: theirs}, "lost") == []
        assert names(queue.take()) == "ab"

    def test_of_which_one_had_been_done_before_are_made_again(self) -> None:
        """A retry's changeset is in the log, whatever became of this transaction."""
        queue = queue_of(ticket("a"), ticket("b"))
        queue.take()
        before = committed(1).changeset
        assert before is not None
        assert queue.looked_up([committed(1), committed(2)], {b"a" * 16: before}, "lost") == []
        assert names(queue.take()) == "ab"

    def test_that_another_server_was_asked_about_are_made_again_there_or_are_unknown(self) -> None:
        made, refused, unchanged = (ticket(name) for name in "abc")
        queue = queue_of(made, refused, unchanged)
        queue.take()
        outcomes: list[Outcome] = [committed(1), committed(2), NO_CHANGE]
        assert queue.looked_up(outcomes, {}, "lost", elsewhere="db1:5432") == []
        assert names(queue.take()) == "abc"
        told = refused.told(REFUSAL)
        assert isinstance(told, OutcomeUnknown)
        assert told.write_id == b"b" * 16
        assert "db1:5432 may have committed it" in str(told)
        assert str(REFUSAL) in str(told)
        assert unchanged.told(REFUSAL) is REFUSAL, "nothing of it was in that COMMIT"

    def test_that_another_server_was_asked_about_wait_for_a_fork_to_be_settled(self) -> None:
        (one,) = (ticket("a"),)
        queue = queue_of(one)
        queue.take()
        queue.looked_up([committed(1)], {}, "lost", elsewhere="db1:5432")
        fork = HistoryForked(Standing(committed(1).head, Server("db2:5432", 2), "below"))
        assert one.told(fork) is fork
        assert fork.unknown is not None
        assert fork.unknown.write_id == b"a" * 16

    def test_that_can_not_be_looked_up_name_the_ids_of_what_they_may_have_written(self) -> None:
        queue = queue_of(*(ticket(name) for name in "abc"))
        queue.take()
        answers = queue.unknown([committed(1), REFUSAL, NO_CHANGE], "lost")
        unknown, refused, unchanged = (answer for _, answer in answers)
        assert isinstance(unknown, OutcomeUnknown)
        assert unknown.write_id == b"a" * 16
        for answer in (refused, unchanged):
            assert type(answer) is AuthorityUnavailable
            assert str(answer) == "lost; nothing was written"
