"""Declarative documents brought to a database: what they change, and what they leave alone."""

import asyncio
import gc
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from store import read as reads
from store.authority import Authority, Create, Delete, Entity, Mutation, Patch, Replace
from store.authority import Committed as CommittedWrite
from store.changeset import Change, decode_body
from store.declarative.bring import Bringer, Brought, bring
from store.declarative.difference import Touched
from store.declarative.export import export_changes
from store.declarative.standing import StateTooLarge, WholeState
from store.errors import EntityError, StateMoved
from store.history import EPOCHS
from store.limits import REPLACE_ATTEMPTS_MAX
from store.schema import schema
from tests.store.conftest import Engine
from tests.store.history import check_history

V3 = "_format_version: '3.0'\n"
DOCUMENT = f"""{V3}
services:
- name: one
  url: http://a.test:8080
  routes:
  - {{name: first, paths: [/one], methods: [GET, POST]}}
- name: two
  host: b.test
consumers:
- username: bob
  acls: [{{group: admins}}]
  basicauth_credentials: [{{username: bob, password: secret}}]
  jwt_secrets: [{{}}]
upstreams:
- name: up
  targets: [{{target: t.test}}]
plugins:
- name: rate-limiting
  service: one
  config: {{minute: 5, policy: local}}
"""
ENTITIES = 10
NOW = 1_800_000_000.0


async def put(
    authority: Authority,
    text: str,
    *,
    prune: bool = True,
    compare_only: bool = False,
    before_commit: Callable[[], Awaitable[object]] | None = None,
    write_id: bytes | None = None,
) -> Brought:
    async def commit(replace: Replace) -> CommittedWrite:
        if before_commit is not None:
            await before_commit()
        return await authority.write([replace], origin="n1", write_id=write_id)

    async def see(state: WholeState) -> None:
        await authority.walk(state, 3)

    bringer = Bringer(see, commit, lambda: NOW, schema)
    return await bring(text, bringer, prune=prune, compare_only=compare_only)


async def make(authority: Authority, kind: str, **fields: object) -> Entity:
    (entity,) = (await authority.write([Create(kind, fields)], origin="n1")).entities
    assert entity is not None
    return entity


def counts(brought: Brought) -> tuple[int, int, int, int]:
    found = brought.difference
    return len(found.created), len(found.changed), len(found.deleted), found.unchanged


def names(touched: list[Touched]) -> list[tuple[str, str | None]]:
    return [(one.kind, one.name) for one in touched]


async def refused(authority: Authority, text: str, *, prune: bool = True) -> EntityError:
    before = await authority.state()
    with pytest.raises(EntityError) as error:
        await put(authority, text, prune=prune)
    assert await authority.state() == before
    return error.value


async def test_a_document_is_one_changeset_and_a_second_time_none(authority: Authority) -> None:
    first = await put(authority, DOCUMENT)
    assert counts(first) == (ENTITIES, 0, 0, 0)
    assert first.committed is not None
    assert first.committed.head.version.revision == 1
    service = await authority.get("services", "one")
    assert service is not None
    assert (service["created_at"], service["updated_at"]) == (int(NOW), int(NOW))
    again = await put(authority, DOCUMENT)
    assert counts(again) == (0, 0, 0, ENTITIES)
    assert again.committed is not None
    assert again.committed.changeset is None
    assert await check_history(authority) == 1


async def test_what_was_drawn_stays_though_the_document_never_says_it(authority: Authority) -> None:
    await put(authority, DOCUMENT)
    (before,) = [c.entity for c in (await authority.state()).entities if c.kind == "jwt_secrets"]
    await put(authority, DOCUMENT.replace("jwt_secrets: [{}]", "jwt_secrets: [{tags: [x]}]"))
    assert before is not None
    key = json.loads(before)["key"]
    found = await authority.get("jwt_secrets", key)
    # Without a name, an entity is known by what the document says of it: this is another one.
    assert found is None
    await put(authority, f"{V3}consumers: [{{username: bob, jwt_secrets: [{{key: k}}]}}]")
    drawn = await authority.get("jwt_secrets", "k")
    assert drawn is not None
    more = f"{V3}consumers: [{{username: bob, jwt_secrets: [{{key: k, tags: [x]}}]}}]"
    assert [one.fields for one in (await put(authority, more)).difference.changed] == [("tags",)]
    now = await authority.get("jwt_secrets", "k")
    assert now is not None
    assert now["secret"] == drawn["secret"]


async def test_only_what_changed_is_written_and_what_is_left_out_goes(authority: Authority) -> None:
    await put(authority, DOCUMENT)
    text = DOCUMENT.replace("minute: 5", "minute: 6").replace("[GET, POST]", "[POST, GET]")
    text = text.replace("- name: two\n  host: b.test\n", "")
    brought = await put(authority, text)
    assert counts(brought) == (0, 1, 1, ENTITIES - 2)
    assert [(one.name, one.fields) for one in brought.difference.changed] == [
        ("rate-limiting", ("config.minute",))
    ]
    assert names(brought.difference.deleted) == [("services", "two")]
    assert brought.committed is not None
    assert brought.committed.changeset is not None
    assert len(decode_body(brought.committed.changeset.body).changes) == 2
    await check_history(authority)


async def test_an_empty_document_deletes_everything_leaves_first(authority: Authority) -> None:
    await put(authority, DOCUMENT)
    brought = await put(authority, V3)
    kinds = [one.kind for one in brought.difference.deleted]
    assert len(kinds) == ENTITIES
    assert kinds.index("routes") < kinds.index("services")
    assert kinds.index("targets") < kinds.index("upstreams")
    assert (await authority.state()).entities == ()
    await check_history(authority)


async def test_comparing_writes_nothing_and_says_the_same(authority: Authority) -> None:
    await put(authority, DOCUMENT)
    text = DOCUMENT.replace("b.test", "c.test")
    compared = await put(authority, text, compare_only=True)
    assert compared.committed is None
    assert (await authority.head()).version.revision == 1
    done = await put(authority, text)
    assert compared.difference.changed == done.difference.changed
    assert [one.fields for one in done.difference.changed] == [("host",)]


async def test_entities_that_are_there_keep_their_ids(authority: Authority) -> None:
    service = await make(authority, "services", name="one", host="old.test")
    consumer = await make(authority, "consumers", custom_id="c1")
    upstream = await make(authority, "upstreams", name="up")
    target = await make(authority, "targets", target="t.test:8000", upstream={"name": "up"})
    plugin = await make(authority, "plugins", name="cors", service={"name": "one"})
    text = f"""{V3}
services: [{{name: one, host: new.test}}]
consumers: [{{custom_id: c1, acls: [{{group: g}}], basicauth_credentials:
  [{{username: u, password: p}}]}}]
upstreams: [{{name: up, targets: [{{target: t.test, weight: 7}}]}}]
plugins: [{{name: cors, service: one, enabled: false}}]
"""
    brought = await put(authority, text)
    assert [(one.id, one.fields) for one in brought.difference.changed] == [
        (service["id"], ("host",)),
        (target["id"], ("weight",)),
        (plugin["id"], ("enabled",)),
    ]
    assert brought.difference.unchanged == 2
    assert brought.difference.deleted == []
    changed = await authority.get("services", "one")
    assert changed is not None
    assert changed["created_at"] == service["created_at"]
    credential = await authority.get("basicauth_credentials", "u")
    assert credential is not None
    assert credential["consumer"] == {"id": consumer["id"]}
    assert await authority.get("upstreams", upstream["id"]) is not None
    assert counts(await put(authority, text)) == (0, 0, 0, 7)


async def test_an_entity_may_take_the_name_of_one_that_goes(authority: Authority) -> None:
    old = await make(authority, "services", name="one", host="h")
    await make(authority, "routes", name="r", paths=["/"], service={"name": "one"})
    new_id = "11111111-1111-4111-8111-111111111111"
    text = (
        f"{V3}services: [{{id: {new_id}, name: one, host: h, routes: [{{name: r, paths: [/]}}]}}]"
    )
    brought = await put(authority, text)
    assert [one.id for one in brought.difference.created] == [new_id]
    assert [one.id for one in brought.difference.deleted] == [old["id"]]
    assert [one.fields for one in brought.difference.changed] == [("service",)]
    await check_history(authority)


async def test_what_is_made_at_run_time_stays_and_goes_with_what_it_belongs_to(
    authority: Authority,
) -> None:
    people = f"""{V3}
consumers: [{{username: bob, oauth2_credentials: [{{name: app, client_id: c}}]}}]
"""
    await put(authority, people)
    token = {"credential": {"client_id": "c"}, "expires_in": 60}
    await make(authority, "oauth2_tokens", **token)
    await make(authority, "sessions", session_id="s")
    await make(authority, "acme_storage", key="k", value="v")
    assert counts(await put(authority, people)) == (0, 0, 0, 2)
    gone = await put(authority, f"{V3}consumers: [{{username: bob}}]")
    assert [one.kind for one in gone.difference.deleted] == ["oauth2_tokens", "oauth2_credentials"]
    assert gone.difference.deleted[0].name is None
    kinds = {change.kind for change in (await authority.state()).entities}
    assert kinds == {"consumers", "sessions", "acme_storage"}
    await check_history(authority)


async def test_without_pruning_nothing_goes_and_what_stays_may_be_referred_to(
    authority: Authority,
) -> None:
    service = await make(authority, "services", name="there", host="h")
    text = f"{V3}routes: [{{name: r, paths: [/], service: there}}]"
    error = await refused(authority, text)
    assert error.code == 14
    assert "no such entry in 'services'" in str(error.fields)
    brought = await put(authority, text, prune=False)
    assert counts(brought) == (1, 0, 0, 0)
    route = await authority.get("routes", "r")
    assert route is not None
    assert route["service"] == {"id": service["id"]}


async def test_selected_tags_confine_what_goes_and_are_given_to_what_comes(
    authority: Authority,
) -> None:
    mine = "tags: [team, blue]"
    await put(authority, f"{V3}services: [{{name: a, host: h, {mine}}}, {{name: b, host: h}}]")
    text = f"{V3}_info: {{select_tags: [team, blue]}}\nservices: [{{name: c, host: h, tags: [x]}}]"
    brought = await put(authority, text)
    assert names(brought.difference.created) == [("services", "c")]
    assert names(brought.difference.deleted) == [("services", "a")]
    made = await authority.get("services", "c")
    assert made is not None
    assert made["tags"] == ["x", "team", "blue"]
    assert await authority.get("services", "b") is not None
    assert counts(await put(authority, text)) == (0, 0, 0, 1)
    bad = await refused(authority, f"{V3}_info: {{select_tags: ['a,b']}}")
    assert "invalid tag" in str(bad.fields)


async def test_what_stays_and_refers_to_what_would_go_forbids_it(authority: Authority) -> None:
    await put(authority, f"{V3}services: [{{name: a, host: h, tags: [mine]}}]")
    await make(authority, "routes", name="r", paths=["/"], service={"name": "a"})
    await make(authority, "plugins", name="cors", service={"name": "a"})
    error = await refused(authority, f"{V3}_info: {{select_tags: [mine]}}")
    assert (error.code, error.fields) == (4, {"@referenced_by": "routes"})
    await authority.write([Delete("routes", "r")], origin="n1")
    gone = await put(authority, f"{V3}_info: {{select_tags: [mine]}}")
    assert names(gone.difference.deleted) == [("plugins", "cors"), ("services", "a")]
    await check_history(authority)


async def test_a_unique_value_of_what_stays_is_refused(authority: Authority) -> None:
    await make(authority, "services", name="one", host="h")
    other = "11111111-1111-4111-8111-111111111111"
    text = f"{V3}services: [{{id: {other}, name: one, host: h}}]"
    assert (await refused(authority, text, prune=False)).code == 5
    await put(authority, text)


async def test_what_comes_out_goes_in_without_a_difference(authority: Authority) -> None:
    await put(authority, DOCUMENT)
    await make(authority, "services", name="three", host="h", tags=["a"])
    text = "".join(export_changes((await authority.state()).entities))
    assert counts(await put(authority, text)) == (0, 0, 0, ENTITIES + 1)


async def test_records_of_epochs_are_left_alone(authority: Authority) -> None:
    await authority.raise_epoch(await authority.head(), origin="n1", forced=True)
    await put(authority, DOCUMENT)
    await put(authority, V3)
    assert [change.kind for change in (await authority.state()).entities] == [EPOCHS]


async def test_others_writes_in_between_are_compared_with_once_more(authority: Authority) -> None:
    await put(authority, DOCUMENT)
    meddled = 0

    async def meddle() -> None:
        nonlocal meddled
        meddled += 1
        if meddled < 3:
            patch = Patch("services", "two", {"retries": meddled})
            await authority.write([patch], origin="n2")

    text = DOCUMENT.replace("b.test", "c.test")
    brought = await put(authority, text, before_commit=meddle)
    assert meddled == 3
    assert [one.fields for one in brought.difference.changed] == [("host", "retries")]
    found = await authority.get("services", "two")
    assert found is not None
    assert (found["host"], found["retries"]) == ("c.test", 5)
    await check_history(authority)


async def test_a_name_that_is_taken_in_between_is_compared_with_once_more(
    authority: Authority,
) -> None:
    made: list[Entity] = []

    async def take() -> None:
        if not made:
            made.append(await make(authority, "services", name="two", host="other.test"))

    await put(authority, DOCUMENT, before_commit=take)
    found = await authority.get("services", "two")
    assert found is not None
    assert (found["id"], found["host"]) == (made[0]["id"], "b.test")


async def test_who_is_always_overtaken_gives_up(authority: Authority) -> None:
    await put(authority, DOCUMENT)
    tries = 0

    async def meddle() -> None:
        nonlocal tries
        tries += 1
        await authority.write([Patch("services", "two", {"retries": tries})], origin="n2")

    with pytest.raises(StateMoved):
        await put(authority, DOCUMENT.replace("b.test", "c.test"), before_commit=meddle)
    assert tries == REPLACE_ATTEMPTS_MAX


async def test_documents_at_once_end_as_one_of_them(authority: Authority) -> None:
    texts = [f"{V3}services: [{{name: s{n}, host: h}}, {{name: both, host: h{n}}}]" for n in (1, 2)]
    done = await asyncio.gather(*(put(authority, text) for text in texts), return_exceptions=True)
    assert any(isinstance(one, Brought) for one in done)
    for one in done:
        assert isinstance(one, Brought | EntityError), one
    hosts = {
        entity["name"]: entity["host"]
        for change in (await authority.state()).entities
        if (entity := json.loads(change.entity or "{}"))
    }
    assert len(hosts) in (2, 3)
    assert hosts["both"] in ("h1", "h2")
    await check_history(authority)


async def test_the_collector_stops_nothing_while_a_document_is_compared(
    authority: Authority,
) -> None:
    collected: list[str] = []
    services = [{"name": f"s{number}", "host": "h"} for number in range(1_000)]
    text = json.dumps({"_format_version": "3.0", "services": services})
    during: list[str] = []

    async def note() -> None:
        during.extend(collected)

    gc.collect()
    gc.callbacks.append(lambda phase, info: collected.append(phase))
    try:
        brought = await put(authority, text, before_commit=note)
    finally:
        gc.callbacks.pop()
    assert counts(brought) == (1_000, 0, 0, 0)
    assert during == []
    await refused(authority, "nonsense")
    assert gc.isenabled()


async def test_a_plugin_agrees_with_the_routes_that_stay(authority: Authority) -> None:
    await put(authority, f"{V3}routes: [{{name: r, paths: [/], protocols: [http]}}]")
    plugin = f"{V3}plugins: [{{name: key-auth, route: r, protocols: [https]}}]"
    wrong = "must match the associated route's protocols"
    error = await refused(authority, plugin, prune=False)
    assert error.fields == {"plugins": [{"protocols": wrong}]}
    agreeing = await put(authority, plugin.replace("[https]", "[http]"), prune=False)
    assert counts(agreeing) == (1, 0, 0, 0)


async def test_a_repeated_write_id_is_told(authority: Authority) -> None:
    first = await put(authority, DOCUMENT, write_id=bytes(16))
    assert not first.repeated
    again = await put(authority, V3, write_id=bytes(16))
    assert again.repeated
    assert again.committed is not None
    assert first.committed is not None
    assert again.committed.head == first.committed.head
    assert await authority.get("services", "one") is not None


async def test_a_state_too_large_to_be_compared_is_refused() -> None:
    state = WholeState(entities_max=2)
    state.take([("services", "1", "{}"), ("services", "2", "{}")])
    with pytest.raises(StateTooLarge, match="more than 2 entities"):
        state.take([("services", "3", "{}")])
    visitor: reads.Visitor = state
    visitor.begin(state.head)
    assert state.texts == {}


@pytest.mark.parametrize("seed", range(3))
async def test_documents_and_single_writes_at_random_leave_a_whole_state(
    engine: Engine, seed: int
) -> None:
    rng = random.Random(seed)
    authorities = [await engine.connect() for _ in range(3)]
    names = [f"n{number}" for number in range(6)]

    def document() -> str:
        services: list[dict[str, Any]] = [
            {
                "name": name,
                "host": rng.choice(("a", "b")),
                "routes": [{"name": other, "paths": ["/"]} for other in rng.sample(names, 1)],
            }
            for name in rng.sample(names, rng.randint(0, 4))
        ]
        taken: set[str] = set()
        for one in services:
            routes = [route for route in one["routes"] if route["name"] not in taken]
            taken.update(route["name"] for route in routes)
            one["routes"] = routes
        return json.dumps({"_format_version": "3.0", "services": services})

    def single() -> Mutation:
        name = rng.choice(names)
        return rng.choice(
            (
                Create("services", {"name": name, "host": "c"}),
                Patch("services", name, {"host": rng.choice(("d", "e"))}),
                Create("routes", {"name": name, "paths": ["/"], "service": {"name": name}}),
                Delete("routes", name),
                Delete("services", name),
            )
        )

    async def work(authority: Authority, what: str) -> int:
        done = 0
        for _ in range(8):
            try:
                if what == "documents":
                    await put(authority, document(), prune=rng.random() < 0.7)
                else:
                    await authority.write([single()], origin="n2")
                done += 1
            except EntityError as error:
                if not isinstance(error, StateMoved) and error.code not in (3, 4, 5, 6, 13, 14):
                    raise
        return done

    works = [work(one, what) for one in authorities for what in ("documents", "single")]
    assert sum(await asyncio.gather(*works)) > 0
    await check_history(authorities[0])
    last = document()
    await put(authorities[0], last)
    services = json.loads(last)["services"]
    found = {json.loads(change.entity or "")["name"] for change in await contents(authorities[1])}
    assert found == {one["name"] for one in services}


async def contents(authority: Authority) -> list[Change]:
    """The services."""
    return [one for one in (await authority.state()).entities if one.kind == "services"]
