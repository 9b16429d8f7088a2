"""Large changesets, which a replica prepares beside what it serves and swaps in at once."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.entities import configuration, following, uuid_of
from store.authority import Query, State
from store.changeset import Body, BodyReader, Change, Changeset, chain, decode_body, encode_body
from store.contents import Contents
from store.limits import CHANGES_AT_ONCE_MAX, PREPARED_CHANGES
from store.preparation import is_large
from store.replica import Replica
from store.version import Head, Version
from tests.store.replica_history import is_sound

HEAD = Head(Version(1, 7, 1), bytes(32))
COUNT = 4 * CHANGES_AT_ONCE_MAX


def tagged(change: Change, tag: str) -> Change:
    entity = (change.entity or "").replace('"tags":null', f'"tags":["{tag}"]')
    return change._replace(entity=entity)


STATE = [tagged(change, "before") for change in configuration(400, random.Random(1))]
FRESH = [tagged(change, "after") for change in configuration(COUNT, random.Random(2))]


def held(changes: Sequence[Change] = STATE) -> Replica:
    replica = Replica("a")
    replica.load(State(HEAD, tuple(changes)))
    return replica


def large(replica: Replica) -> Changeset:
    """All that was there goes, other things come: services have the names of former ones."""
    gone = [change._replace(entity=None) for change in STATE]
    return following(replica, *gone, *FRESH)


def seen(replica: Replica) -> object:
    """What readers find by every way there is."""
    services = [change for change in (*STATE, *FRESH) if change.kind == "services"][::40]
    return (
        replica.head(),
        len(replica),
        replica.state_hash(),
        tuple(replica.changes()),
        replica.list(Query("services", size=1000)),
        replica.list(Query("routes", size=1000, tags_all=("before",))),
        replica.list(Query("routes", size=1000, tags_all=("after",))),
        [replica.get("services", f"service-{number}") for number in range(0, COUNT, 40)],
        [replica.find_by("routes", "name", f"route-{number}") for number in range(0, COUNT, 40)],
        [replica.rows_by("routes", "service", change.id, 1000) for change in services],
    )


def drive(replica: Replica, changeset: Changeset) -> str:
    """Offer it until it is settled."""
    while (verdict := replica.offer(*changeset)) == "preparing":
        pass
    return verdict


def test_nothing_of_a_large_changeset_shows_before_all_of_it_does() -> None:
    replica = held()
    before, changeset = seen(replica), large(replica)
    steps = 0
    while replica.offer(*changeset) == "preparing":
        assert seen(replica) == before
        steps += 1
    assert steps >= (COUNT + len(STATE)) // PREPARED_CHANGES
    expected = Replica("a")
    expected.load(State(Head(changeset.version, changeset.digest), tuple(FRESH)))
    assert seen(replica) == seen(expected)
    assert is_sound(replica)
    assert replica.changesets(*HEAD, 2**30) == [changeset]


def test_a_view_that_was_pinned_meanwhile_stays_as_it_was() -> None:
    replica = held()
    changeset = large(replica)
    for _ in range(6):
        assert replica.offer(*changeset) == "preparing"
    pinned = replica.pin()
    assert drive(replica, changeset) == "applied"
    assert list(pinned.changes()) == STATE


@pytest.mark.parametrize("tidied", [False, True])
def test_what_follows_is_applied_as_ever(tidied: bool) -> None:
    replica = held()
    assert drive(replica, large(replica)) == "applied"
    while tidied and replica.tidy():
        pass
    gone = FRESH[0]._replace(entity=None)
    assert replica.offer(*following(replica, gone)) == "applied"
    assert replica.get(gone.kind, gone.id) is None
    assert drive(replica, following(replica, *STATE)) == "applied"
    assert len(replica) == len(FRESH) - 1 + len(STATE)
    assert is_sound(replica)


@pytest.mark.parametrize("place", [0, COUNT // 2, COUNT - 1])
def test_one_that_can_not_be_applied_leaves_everything_as_it_is(place: int) -> None:
    replica = held()
    before = seen(replica)
    changes = list(FRESH)
    changes[place] = changes[place]._replace(entity="no json")
    assert drive(replica, following(replica, *changes)) == "poison"
    assert seen(replica) == before
    assert replica.preparing is None
    assert drive(replica, large(replica)) == "applied"


def _with_body(changeset: Changeset, body: bytes) -> Changeset:
    return changeset._replace(body=body, digest=chain(changeset.predecessor, body))


def test_what_is_no_body_is_poison_however_it_begins() -> None:
    replica = held()
    good = large(replica)
    assert drive(replica, _with_body(good, good.body[:-1])) == "poison"
    assert drive(replica, _with_body(good, good.body + b"\xc0")) == "poison"
    assert drive(replica, _with_body(good, b"\xc1" * len(good.body))) == "poison"
    assert drive(replica, good._replace(digest=bytes(32))) == "corrupt"
    assert replica.head() == HEAD


def test_a_body_is_read_in_slices_as_it_is_at_once() -> None:
    replica = held([])
    body = encode_body(Body(b"w" * 16, 2.5, "node", tuple(FRESH), "audit"))
    changeset = _with_body(following(replica, *FRESH), body)
    assert drive(replica, changeset) == "applied"
    latest = replica.take_latest()
    whole = decode_body(body)
    assert latest == (changeset, whole._replace(changes=whole.changes[:PREPARED_CHANGES]), COUNT)
    assert replica.take_latest() is None
    read = [change for part in BodyReader(body).changes(100, 2**20) for change in part]
    assert tuple(read) == whole.changes


def test_another_state_in_the_meantime_has_it_judged_anew() -> None:
    replica = held()
    changeset = large(replica)
    for _ in range(6):
        assert replica.offer(*changeset) == "preparing"
    replica.load(State(HEAD, tuple(STATE[:100])))
    assert replica.preparing is None
    assert drive(replica, changeset) == "applied"
    assert list(replica.changes()) == FRESH
    beyond = Replica("a")
    beyond.load(State(HEAD, tuple(STATE)))
    assert beyond.offer(*changeset) == "preparing"
    beyond.load(State(Head(changeset.version, changeset.digest), tuple(FRESH)))
    assert beyond.offer(*changeset) == "known"


@pytest.mark.parametrize("count", [1, COUNT])
def test_another_successor_of_the_same_head_waits_for_the_first_one(count: int) -> None:
    replica = held()
    first, other = large(replica), following(replica, *FRESH[1 : count + 1])
    assert replica.offer(*first) == "preparing"
    assert drive(replica, other) == "forked"
    latest = replica.take_latest()
    assert latest is not None
    assert latest.changeset == first
    assert list(replica.changes()) == FRESH


def test_another_successor_is_applied_if_the_first_one_is_poison() -> None:
    replica = held()
    poison = following(replica, *FRESH[:-1], FRESH[-1]._replace(entity="[]"))
    other = following(replica, FRESH[0])
    assert replica.offer(*poison) == "preparing"
    assert drive(replica, other) == "applied"


def test_small_ones_are_applied_in_one_go() -> None:
    replica = held()
    assert replica.offer(*following(replica, *FRESH[:CHANGES_AT_ONCE_MAX])) == "applied"
    assert replica.offer(*following(replica, *FRESH[: CHANGES_AT_ONCE_MAX + 1])) == "preparing"


def test_few_changes_of_many_bytes_are_large() -> None:
    entity = '{"name":"%s"}' % ("x" * 300_000)
    changes = (Change("services", uuid_of(random.Random(1)), entity),)
    assert is_large(encode_body(Body(bytes(16), 1.0, "n", changes)))
    assert not is_large(b"\xc1 no body")


keys = st.sampled_from([f"{number:02d}" for number in range(12)])
texts = st.builds('{{"name":"{}","tags":["{}"],"service":{{"id":"{}"}}}}'.format, keys, keys, keys)
changes = st.lists(st.tuples(keys, st.none() | texts), max_size=40)


@given(changes, changes, st.integers(0, 2), st.booleans())
def test_a_shadow_comes_to_what_the_changes_come_to(
    before: list[tuple[str, str | None]],
    after: list[tuple[str, str | None]],
    many: int,
    settled: bool,
) -> None:
    """``many``: so many hundred entities have one term, so that its list is copied. ``settled``:
    what was swapped in settles between the changes that follow."""
    crowd = [
        (f"c{number:03d}", f'{{"name":"n{number}","tags":["00"],"service":{{"id":"00"}}}}')
        for number in range(100 * many)
    ]
    both, base = Contents(), Contents()
    for contents in (both, base):
        _apply(contents, [*before, *crowd])
    untouched, state_hash = _rows(base), base.state_hash()
    shadow = base.shadow()
    _apply(shadow, after)
    assert (_rows(base), base.state_hash()) == (untouched, state_hash)
    base.take_over(shadow)
    settling = base.settle() if settled else iter(())
    _apply(both, after)
    assert (_rows(base), base.state_hash()) == (_rows(both), both.state_hash())
    for change in [*before, *crowd[::20]]:
        next(settling, None)
        _apply(base, [change])
        _apply(both, [change])
        assert _rows(base) == _rows(both)
    for _ in settling:
        assert _rows(base) == _rows(both)
    assert _rows(base) == _rows(both)


def _apply(contents: Contents, changes: Sequence[tuple[str, str | None]]) -> None:
    contents.apply([contents.prepare(Change("routes", *change)) for change in changes])


def _rows(contents: Contents) -> object:
    numbers = [f"{number:02d}" for number in range(12)]
    queries = [Query("routes", size=1000, tags_all=(number,)) for number in numbers]
    return (
        list(contents.pin(HEAD).rows()),
        [contents.page(query) for query in queries],
        [contents.rows_by("routes", "service", number, 1000) for number in numbers],
        [contents.find_by("routes", "name", number) for number in numbers],
    )
