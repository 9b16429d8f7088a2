"""What the kinds ask of the write rule, on every engine: uniqueness over several fields, what goes
with a deleted entity and what forbids it, lists that are entities, entities that expire."""

import uuid
from typing import Any

import pytest

from store.authority import Authority, Create, Delete, Patch, Put, Query, Tagged
from store.changeset import decode_body
from store.errors import EntityError
from store.schema import schema, schemas_with_plugins
from tests.store.conftest import Engine
from tests.store.history import check_history
from tests.store.pems import pair

Entity = dict[str, Any]


async def create(authority: Authority, kind: str, **fields: Any) -> Entity:
    (entity,) = (await authority.write([Create(kind, fields)], origin="")).entities
    assert entity is not None
    return entity


async def refused(authority: Authority, *mutations: Any) -> EntityError:
    with pytest.raises(EntityError) as caught:
        await authority.write(mutations, origin="")
    return caught.value


async def consumer(authority: Authority, name: str = "bob") -> Entity:
    return {"id": (await create(authority, "consumers", username=name))["id"]}


async def certificate(authority: Authority, name: str, *snis: str) -> Entity:
    made = pair(name)
    return await create(authority, "certificates", cert=made.cert, key=made.key, snis=[*snis])


async def names_of(authority: Authority, entity: Entity) -> list[str]:
    page = await authority.list(Query("snis", references={"certificate": entity["id"]}))
    return sorted(sni["name"] for sni in page.entities)


async def test_one_plugin_of_a_name_per_scope(authority: Authority) -> None:
    service = await create(authority, "services", name="s", host="h")
    scope = {"service": {"id": service["id"]}}
    await create(authority, "plugins", name="cors", **scope)
    await create(authority, "plugins", name="cors")
    error = await refused(authority, Create("plugins", {"name": "cors", "service": {"name": "s"}}))
    assert (error.code, error.message) == (
        5,
        "UNIQUE violation detected on "
        f'\'{{consumer=null,name="cors",route=null,service={{id="{service["id"]}"}}}}\'',
    )
    assert error.fields == {"name": "cors", "route": None, "consumer": None, **scope}
    assert (await refused(authority, Create("plugins", {"name": "cors"}))).code == 5
    assert await check_history(authority) == 3


async def test_a_scope_is_free_again_once_its_plugin_has_moved_or_gone(
    authority: Authority,
) -> None:
    await create(authority, "services", name="s", host="h")
    plugin = await create(authority, "plugins", name="cors")
    move = Patch("plugins", plugin["id"], {"service": {"name": "s"}})
    await authority.write([move], origin="")
    second = await create(authority, "plugins", name="cors")
    assert await refused(authority, Patch("plugins", second["id"], {"service": {"name": "s"}}))
    await authority.write([Delete("plugins", plugin["id"])], origin="")
    await authority.write([Patch("plugins", second["id"], {"service": {"name": "s"}})], origin="")
    await check_history(authority)


async def test_a_target_is_unique_within_its_upstream(authority: Authority) -> None:
    one = await create(authority, "upstreams", name="one")
    two = await create(authority, "upstreams", name="two")
    await create(authority, "targets", upstream={"id": one["id"]}, target="h")
    await create(authority, "targets", upstream={"id": two["id"]}, target="h")
    again = Create("targets", {"upstream": {"name": "one"}, "target": "h:8000"})
    error = await refused(authority, again)
    assert error.fields == {"upstream": {"id": one["id"]}, "target": "h:8000"}
    claim = schema("targets").scoped_claim(two["id"], "h")
    (found,) = (await authority.list(Query("targets", claim=claim))).entities
    assert found["upstream"] == {"id": two["id"]}


async def test_a_consumer_is_in_a_group_once(authority: Authority) -> None:
    bob, ann = await consumer(authority, "bob"), await consumer(authority, "ann")
    for one in (bob, ann):
        await create(authority, "acls", consumer=one, group="g")
    error = await refused(authority, Create("acls", {"consumer": bob, "group": "g"}))
    assert error.fields == {"consumer": bob, "group": "g"}


async def test_two_of_one_transaction_cannot_share_what_is_unique_together(
    authority: Authority,
) -> None:
    bob = await consumer(authority)
    twice = [Create("acls", {"consumer": bob, "group": "g"})] * 2
    assert (await refused(authority, *twice)).code == 5
    assert (await authority.list(Query("acls"))).entities == ()


async def test_a_key_is_unique_within_its_set_and_no_set_is_a_set(authority: Authority) -> None:
    pem = {"public_key": pair("a.test").public_key}
    key_set = await create(authority, "key_sets", name="s")
    await create(authority, "keys", kid="k", pem=pem, set={"id": key_set["id"]})
    await create(authority, "keys", kid="k", pem=pem)
    error = await refused(authority, Create("keys", {"kid": "k", "pem": pem}))
    assert error.message == "UNIQUE violation detected on '{kid=\"k\",set=null}'"


async def test_an_entity_is_found_by_any_unique_field(authority: Authority) -> None:
    ann = await create(authority, "consumers", username="ann", custom_id="17")
    page = await authority.list(Query("consumers", claim=("custom_id", "17")))
    assert page.entities == (ann,)
    assert (await authority.list(Query("consumers", claim=("custom_id", "18")))).entities == ()
    assert (await authority.list(Query("consumers", claim=("custom_id", "\0")))).entities == ()


async def test_what_a_consumer_has_goes_with_it(authority: Authority) -> None:
    bob = await consumer(authority)
    for kind, fields in (
        ("keyauth_credentials", {}),
        ("basicauth_credentials", {"username": "u", "password": "p"}),
        ("acls", {"group": "g"}),
        ("oauth2_credentials", {"name": "app", "client_id": "c"}),
    ):
        await create(authority, kind, consumer=bob, **fields)
    token = {"credential": {"client_id": "c"}, "expires_in": 1}
    await create(authority, "oauth2_tokens", **token)
    await create(authority, "plugins", name="cors", consumer=None)
    committed = await authority.write([Delete("consumers", "bob")], origin="")
    assert committed.changeset is not None
    gone = [change.kind for change in decode_body(committed.changeset.body).changes]
    assert sorted(gone) == [
        "acls",
        "basicauth_credentials",
        "consumers",
        "keyauth_credentials",
        "oauth2_credentials",
        "oauth2_tokens",
    ]
    await check_history(authority)


async def test_what_others_need_is_not_deleted(authority: Authority) -> None:
    served = await certificate(authority, "a.test")
    shown = {"client_certificate": {"id": served["id"]}}
    await create(authority, "services", host="h", protocol="https", **shown)
    error = await refused(authority, Delete("certificates", served["id"]))
    assert (error.code, error.message) == (
        4,
        "an existing 'services' entity references this 'certificates' entity",
    )


async def test_a_reference_to_nothing_is_refused(authority: Authority) -> None:
    nobody = {"id": str(uuid.uuid4())}
    error = await refused(authority, Create("acls", {"consumer": nobody, "group": "g"}))
    assert (error.code, error.fields) == (4, {"consumer": nobody})


async def test_server_names_of_a_certificate_are_made_in_the_same_write(
    authority: Authority,
) -> None:
    made = pair("a.test")
    committed = await authority.write(
        [
            Create(
                "certificates", {"cert": made.cert, "key": made.key, "snis": ["b.test", "a.test"]}
            )
        ],
        origin="",
    )
    (entity,) = committed.entities
    assert entity is not None
    assert entity["snis"] == ["a.test", "b.test"]
    assert committed.changeset is not None
    changes = decode_body(committed.changeset.body).changes
    assert sorted(change.kind for change in changes) == ["certificates", "snis", "snis"]
    stored = await authority.get("certificates", entity["id"])
    assert stored is not None
    assert "snis" not in stored
    assert await names_of(authority, entity) == ["a.test", "b.test"]
    assert await check_history(authority) == 1


async def test_a_patch_of_server_names_adds_and_deletes(authority: Authority) -> None:
    entity = await certificate(authority, "a.test", "a.test", "b.test")
    kept = (await authority.get("snis", "b.test")) or {}
    patch = Patch("certificates", entity["id"], {"snis": ["b.test", "c.test"]})
    (patched,) = (await authority.write([patch], origin="")).entities
    assert patched is not None
    assert patched["snis"] == ["b.test", "c.test"]
    assert await names_of(authority, entity) == ["b.test", "c.test"]
    assert await authority.get("snis", "b.test") == kept
    untouched = Patch("certificates", entity["id"], {"tags": ["t"]})
    await authority.write([untouched], origin="")
    assert await names_of(authority, entity) == ["b.test", "c.test"]
    await authority.write([Delete("certificates", entity["id"])], origin="")
    assert (await authority.list(Query("snis"))).entities == ()
    await check_history(authority)


async def test_a_server_name_of_another_certificate_is_not_taken(authority: Authority) -> None:
    first = await certificate(authority, "a.test", "a.test")
    second = await certificate(authority, "b.test", "b.test")
    for mutation in (
        Patch("certificates", second["id"], {"snis": ["a.test"]}),
        Put("certificates", second["id"], {**_fields("b.test"), "snis": ["b.test", "a.test"]}),
    ):
        error = await refused(authority, mutation)
        wrong = f"a.test already associated with existing certificate '{first['id']}'"
        assert error.fields == {"snis": wrong}
    assert await names_of(authority, second) == ["b.test"]


async def test_a_server_name_given_twice_is_told(authority: Authority) -> None:
    create = Create("certificates", {**_fields("a.test"), "snis": ["a.test", "a.test"]})
    assert (await refused(authority, create)).fields == {"snis": "a.test is duplicated"}


def _fields(name: str) -> Entity:
    made = pair(name)
    return {"cert": made.cert, "key": made.key}


async def test_an_expired_entity_is_no_longer_patched(engine: Engine) -> None:
    clock = Clock()
    authority = engine.authority(clock=clock)
    await authority.open()
    engine.opened.append(authority)
    bob = await consumer(authority)
    key = await create(authority, "keyauth_credentials", consumer=bob, key="k", ttl=10)
    clock.now += 9
    await authority.write([Patch("keyauth_credentials", "k", {"tags": ["a"]})], origin="")
    clock.now += 1
    error = await refused(authority, Patch("keyauth_credentials", key["id"], {"tags": []}))
    assert error.code == 6


async def test_a_sweep_spares_what_was_prolonged_meanwhile(engine: Engine) -> None:
    clock = Clock()
    authority = engine.authority(clock=clock)
    await authority.open()
    engine.opened.append(authority)
    bob = await consumer(authority)
    for name, ttl in (("short", 10), ("long", 20)):
        await create(authority, "keyauth_credentials", consumer=bob, key=name, ttl=ttl)
    clock.now += 15
    sweep = [
        Delete("keyauth_credentials", key, expired_only=True) for key in ("short", "long", "none")
    ]
    committed = await authority.write(sweep, origin="")
    assert committed.changeset is not None
    assert len(decode_body(committed.changeset.body).changes) == 1
    assert await authority.get("keyauth_credentials", "short") is None
    assert await authority.get("keyauth_credentials", "long") is not None


async def test_a_plugin_speaks_a_protocol_of_what_it_runs_for(authority: Authority) -> None:
    await create(authority, "services", name="s", host="h")
    on_service = {"name": "cors", "service": {"name": "s"}, "protocols": ["https"]}
    plugin = await create(authority, "plugins", **on_service)  # no route yet: all is well
    await create(authority, "routes", name="r", service={"name": "s"}, paths=["/"])
    only_http = Patch("routes", "r", {"protocols": ["http"]})
    await authority.write([only_http], origin="")
    error = await refused(authority, Patch("plugins", plugin["id"], {"tags": ["t"]}))
    wrong = "must match the protocols of at least one route pointing to this Plugin's service"
    assert error.fields == {"protocols": wrong}
    on_route = {"name": "cors", "route": {"name": "r"}}
    error = await refused(authority, Create("plugins", {**on_route, "protocols": ["https"]}))
    assert error.fields == {"protocols": "must match the associated route's protocols"}
    await create(authority, "plugins", **on_route, protocols=["http", "https"])


async def test_uses_of_tags_are_listed_across_kinds(authority: Authority) -> None:
    service = await create(authority, "services", host="h", tags=["a", "b"])
    upstream = await create(authority, "upstreams", name="u", tags=["a"])
    expected = [
        Tagged("a", "services", service["id"]),
        Tagged("a", "upstreams", upstream["id"]),
        Tagged("b", "services", service["id"]),
    ]
    assert list(await authority.tags(None, 10)) == expected
    assert list(await authority.tags("a", 10)) == expected[:2]
    assert list(await authority.tags("a", 10, expected[0])) == expected[1:2]
    assert list(await authority.tags(None, 1, expected[1])) == expected[2:]
    assert list(await authority.tags("\0", 1)) == []


async def test_an_authority_takes_the_plugins_that_it_was_handed(engine: Engine) -> None:
    schemas = schemas_with_plugins(enabled=["cors"], unbuilt=["key-auth"])
    authority = engine.authority(schemas=schemas)
    await authority.open()
    engine.opened.append(authority)
    await create(authority, "plugins", name="cors")
    error = await refused(authority, Create("plugins", {"name": "key-auth"}))
    assert (error.code, list(error.fields)) == (2, ["name"])


class Clock:
    """The writer's wall clock, set by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now
