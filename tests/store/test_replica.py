"""The replica: whole changesets in order, and its answers to peers, workers and Admin reads."""

import json
import uuid
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.replica import Replica as WantedByGossip
from store.authority import Query, State
from store.canonical import decode_entity, encode_entity
from store.changelog import Changelog
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.errors import EntityError
from store.limits import RELEASED_STATES_MAX
from store.replica import Replica
from store.schema import schema
from store.version import EMPTY, GENESIS_DIGEST, Head, Version

TAG = 7
IDS = [str(uuid.UUID(int=number, version=4)) for number in range(6)]


def changeset(after: Head, *changes: Change, epoch: int = 1, tag: int = TAG) -> Changeset:
    revision = after.version.revision + 1
    body = encode_body(Body(revision.to_bytes(16, "big"), 1.0, "n", changes))
    return Changeset(Version(epoch, tag, revision), after.digest, chain(after.digest, body), body)


def head_of(item: Changeset) -> Head:
    return Head(item.version, item.digest)


def service(number: int, **fields: Any) -> Change:
    entity = schema("services").validate_new({"id": IDS[number], "host": "h", **fields}, 1)
    return Change("services", IDS[number], encode_entity(entity))


def route(number: int, service: int, **fields: Any) -> Change:
    fields |= {"id": IDS[number], "paths": ["/"], "service": {"id": IDS[service]}}
    entity = schema("routes").validate_new(fields, 1)
    return Change("routes", IDS[number], encode_entity(entity))


def filled(count: int) -> tuple[Replica, list[Changeset]]:
    replica, history, head = Replica("a"), [], EMPTY
    for number in range(count):
        history.append(changeset(head, service(number % len(IDS), retries=number % 9)))
        head = head_of(history[-1])
        assert replica.offer(*history[-1]) == "applied"
    return replica, history


def test_gossip_can_use_it() -> None:
    replica: WantedByGossip = Replica("a")
    assert replica.head() == EMPTY


def test_the_next_changeset_is_applied_and_older_ones_are_known() -> None:
    replica, history = filled(3)
    assert replica.head() == head_of(history[-1])
    assert [replica.offer(*item) for item in history] == ["known"] * 3


def test_one_that_is_too_early_changes_nothing() -> None:
    replica, history = filled(3)
    other = Replica("a")
    assert other.offer(*history[1]) == "early"
    assert other.head() == EMPTY
    assert other.offer(*history[0]) == "applied"
    assert other.offer(*history[2]) == "early"
    assert other.offer(*history[1]) == "applied"
    assert other.offer(*history[2]) == "applied"
    assert list(other.changes()) == list(replica.changes())


def test_another_history_is_forked_wherever_it_shows() -> None:
    replica, history = filled(3)
    second, third = head_of(history[1]), head_of(history[2])
    elsewhere = Head(third.version, b"x" * 32)
    assert replica.offer(*changeset(second, service(0, retries=7))) == "forked"  # my revision 3
    assert replica.offer(*changeset(elsewhere, service(0))) == "forked"  # another's revision 4
    assert replica.offer(*changeset(EMPTY, service(4))) == "forked"  # another beginning
    assert replica.offer(*changeset(second, service(0), epoch=2)) == "forked"  # left before my 3
    assert replica.offer(*changeset(third, service(0), tag=TAG + 1)) == "forked"  # no new epoch
    assert replica.head() == third


def test_a_new_epoch_goes_on_from_the_head() -> None:
    replica, history = filled(2)
    raised = changeset(head_of(history[-1]), service(0), epoch=2, tag=1)
    assert replica.offer(*raised) == "applied"
    assert replica.head()[0] == (2, 1, 3)


def test_a_changeset_that_is_corrupt_or_can_not_be_read_changes_nothing() -> None:
    replica, history = filled(1)
    good = changeset(head_of(history[-1]), service(1), service(2))
    flipped = good._replace(body=good.body[:-1] + bytes([good.body[-1] ^ 1]))
    unreadable = [
        b"",
        b"\xc1",
        encode_body(Body(b"", 1.0, "", (service(1), Change("services", IDS[2], "no json")))),
        encode_body(Body(b"", 1.0, "", (service(1), Change("services", IDS[2], "[]")))),
        encode_body(Body(b"", 1.0, "", (service(1), Change("x", IDS[2], "[" * 100_000)))),
    ]
    offered = [flipped, good._replace(digest=bytes(32))]
    offered += [
        good._replace(body=body, digest=chain(good.predecessor, body)) for body in unreadable
    ]
    before = list(replica.changes())
    for item in offered:
        fits = chain(item.predecessor, item.body) == item.digest
        assert replica.offer(*item) == ("poison" if fits else "corrupt")
    assert list(replica.changes()) == before
    assert replica.offer(*good) == "applied"


def test_what_can_not_be_read_leaves_no_trace_of_its_kinds() -> None:
    replica, history = filled(1)
    changes = (Change("made-up", "x", "{}"), Change("another", "x", None), service(1))
    bad = changeset(head_of(history[-1]), *changes, Change("services", IDS[2], "no json"))
    assert replica.offer(*bad) == "poison"
    gone = changeset(head_of(history[-1]), Change("another", "x", None))
    assert replica.offer(*gone) == "applied"
    assert list(replica._contents._tables) == ["services"]


def test_entities_are_found_by_id_and_by_their_name_of_now() -> None:
    replica = Replica("a")
    first = changeset(EMPTY, service(0, name="x"), service(1, name="y"))
    swapped = changeset(head_of(first), service(0, name="y"), service(1, name="x"))
    gone = changeset(head_of(swapped), Change("services", IDS[0], None))
    replica.offer(*first)
    replica.offer(*swapped)
    found = replica.get("services", "y")
    assert found is not None
    assert found["id"] == IDS[0]
    assert replica.get("services", IDS[1].upper()) == replica.get("services", "x")
    replica.offer(*gone)
    assert replica.get("services", "y") is None
    assert replica.get("services", IDS[0]) is None
    assert replica.get("nothing", IDS[0]) is None
    assert len(replica) == 1


def test_what_is_answered_is_a_copy() -> None:
    replica, _ = filled(1)
    entity = replica.get("services", IDS[0])
    assert entity is not None
    entity["host"] = "changed"
    assert replica.get("services", IDS[0]) != entity


def test_lists_are_paged_and_filtered_as_the_authority_does() -> None:
    replica = Replica("a")
    item = changeset(
        EMPTY,
        service(0),
        route(3, 0, name="ab", tags=["a", "b"]),
        route(1, 0, name="b", tags=["b"]),
        route(2, 5, name="a", tags=["a"]),
    )
    replica.offer(*item)

    def names(**filters: Any) -> list[str]:
        return [item["name"] for item in replica.list(Query("routes", **filters)).entities]

    assert names() == ["b", "a", "ab"]
    assert names(references={"service": IDS[0]}) == ["b", "ab"]
    assert names(references={"other": IDS[0]}) == []
    assert names(tags_all=("a", "b")) == ["ab"]
    assert names(tags_any=("a", "b")) == ["b", "a", "ab"]
    assert names(tags_all=("a",), references={"service": IDS[0]}) == ["ab"]
    assert names(tags_any=("none",)) == []
    page = replica.list(Query("routes", size=2))
    assert page.next_id == IDS[2]
    assert names(after_id=page.next_id) == ["ab"]
    assert replica.list(Query("routes", size=3)).next_id is None
    assert replica.list(Query("nothing")).entities == ()
    with pytest.raises(EntityError, match="size must be an integer between 1 and 1000"):
        replica.list(Query("nothing", size=0))


def test_kinds_that_are_not_known_are_kept_as_they_are() -> None:
    text = '{ "id": "x",  "shape": [1.50, {"b":1,"a":2}] }'
    replica = Replica("a")
    item = changeset(EMPTY, Change("newer", "x", text))
    assert replica.offer(*item) == "applied"
    assert list(replica.changes()) == [("newer", "x", text)]
    assert replica.changesets(*EMPTY, max_bytes=1) == [item]
    assert replica.list(Query("newer")).entities == (json.loads(text),)


def test_a_state_replaces_everything_and_begins_a_new_log() -> None:
    replica, history = filled(3)
    head = Head(Version(1, TAG, 40), b"d" * 32)
    replica.load(State(head, (service(5, name="only"),)))
    assert replica.head() == head
    assert [change.id for change in replica.changes()] == [IDS[5]]
    assert replica.changesets(*head_of(history[0]), max_bytes=1) is None
    assert replica.changesets(*head, max_bytes=1) == []
    following = changeset(head, service(0))
    assert replica.offer(*following) == "applied"
    assert replica.changesets(*head, max_bytes=1) == [following]


def test_what_was_replaced_is_let_go_of_step_by_step_or_when_more_comes() -> None:
    replica, _ = filled(3)
    state = State(Head(Version(1, TAG, 40), b"d" * 32), tuple(service(n) for n in range(5)))
    chunk = weakref.ref(replica._contents._tables["services"]._rows._chunks[0])
    replica.load(state)
    assert chunk() is not None
    while replica.tidy():
        pass
    assert chunk() is None
    chunk = weakref.ref(replica._contents._tables["services"]._rows._chunks[0])
    for _ in range(RELEASED_STATES_MAX + 1):
        replica.load(state)
    assert chunk() is None, "nobody tidied, and yet it doesn't pile up"


def test_a_state_that_can_not_be_read_changes_nothing() -> None:
    replica, history = filled(1)
    for bad in (Change("services", IDS[1], "{"), Change("services", IDS[1], None)):
        with pytest.raises(ValueError, match=r"Expecting|deletion"):
            replica.load(State(EMPTY, (service(2), bad)))
    assert replica.head() == head_of(history[0])
    assert [change.id for change in replica.changes()] == [IDS[0]]


def test_peers_are_given_what_follows_up_to_their_bound() -> None:
    replica, history = filled(4)
    size = len(history[0].body)
    assert replica.changesets(*EMPTY, max_bytes=10**6) == history
    assert replica.changesets(*head_of(history[1]), max_bytes=10**6) == history[2:]
    assert replica.changesets(*EMPTY, max_bytes=2 * size) == history[:2]
    assert replica.changesets(*EMPTY, max_bytes=1) == history[:1]
    assert replica.changesets(*head_of(history[3]), max_bytes=1) == []
    assert replica.changesets(history[1].version, b"x" * 32, max_bytes=1) is None
    assert replica.changesets(Version(1, 9, 2), history[1].digest, max_bytes=1) is None


@pytest.mark.parametrize("bounds", [{"count_max": 2}, {"bytes_max": 20}])
def test_the_log_lets_go_of_the_oldest(bounds: dict[str, int]) -> None:
    log = Changelog(EMPTY, **bounds)
    history, head = [], EMPTY
    for number in range(5):
        digest = bytes([number + 1]) * 32
        history.append(Changeset(Version(1, TAG, number + 1), head.digest, digest, b"ten bytes!"))
        head = head_of(history[-1])
        log.append(history[-1])
    assert len(log) == 2
    assert log.since(head_of(history[1]), 10) is None
    assert log.since(head_of(history[2]), 20) == history[3:]
    assert log.judge(history[0], head) == "known"  # trimmed proves nothing
    assert log.judge(history[3]._replace(digest=GENESIS_DIGEST), head) == "forked"


histories = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["services", "routes", "newer"]),
            st.sampled_from(IDS),
            st.none() | st.fixed_dictionaries({"name": st.sampled_from("xyz"), "n": st.integers()}),
        ),
        max_size=4,
    ),
    max_size=12,
)


@given(histories, st.randoms(use_true_random=False))
def test_in_whatever_order_changesets_come_the_replica_is_at_a_whole_version(
    history: list[list[tuple[str, str, dict[str, Any] | None]]], rng: Any
) -> None:
    states: dict[Version, dict[tuple[str, str], str]] = {EMPTY.version: {}}
    changesets: list[Changeset] = []
    head = EMPTY
    model: dict[tuple[str, str], str] = {}
    for transaction in history:
        final = {(kind, entity_id): entity for kind, entity_id, entity in transaction}
        changes = [
            Change(kind, entity_id, None if entity is None else encode_entity(entity))
            for (kind, entity_id), entity in final.items()
        ]
        changesets.append(changeset(head, *changes))
        head = head_of(changesets[-1])
        model = {key: text for key, text in model.items() if key not in final}
        model |= {(kind, key): text for kind, key, text in changes if text is not None}
        states[head.version] = model
    replica = Replica("a")
    arriving = changesets * 2
    rng.shuffle(arriving)
    for item in [*arriving, *changesets]:
        before = replica.head()[0]
        verdict = replica.offer(*item)
        assert verdict in ("applied", "known", "early")
        assert (replica.head()[0] > before) == (verdict == "applied")
        held = {(change.kind, change.id): change.entity for change in replica.changes()}
        assert held == states[Version(*replica.head()[0])]
    assert replica.head() == head
    for (kind, entity_id), text in model.items():
        assert replica.get(kind, entity_id) == decode_entity(text)


def test_the_digest_of_each_version_that_is_kept_is_told_and_of_no_other() -> None:
    log = Changelog(EMPTY)
    head = EMPTY
    for number in range(3):
        item = changeset(head, service(number))
        log.append(item)
        head = head_of(item)
        assert log.digest(item.version) == item.digest
    assert log.digest(EMPTY.version) == EMPTY.digest
    assert log.digest(head.version._replace(revision=9)) is None
    # The same number in another history.
    assert log.digest(head.version._replace(tag=TAG + 1)) is None
