"""aio-kong, a client of Kong's that others wrote, drives the Admin API as it would Kong's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml
from kong.client import Kong, KongResponseError
from kong.components import CrudComponent, KongEntity

from tests.admin.client import Client
from tests.store.pems import pair

DECLARATION = """
services:
  - name: orders
    host: orders.test
    port: 8080
    routes:
      - name: orders
        hosts: orders.test
        paths: [/orders]
        plugins:
          - name: cors
            config: {origins: ["https://shop.test"]}
      - name: health
        paths: [/health]
    plugins:
      - name: key-auth
  - name: gone
    ensure: absent
consumers:
  - username: bob
    groups: [staff, ops]
    auths:
      - {type: key-auth, config: {key: bobs-key}}
      - {type: basic-auth, config: {username: bob, password: secret}}
plugins:
  - name: request-termination
    config: {status_code: 503}
    enabled: false
"""


@pytest.fixture
async def kong(admin: Client) -> AsyncIterator[Kong]:
    async with Kong(url=admin.base) as client:
        yield client


def component(kong: Kong, name: str) -> CrudComponent[KongEntity]:
    """A collection for which aio-kong has no class of its own."""
    return CrudComponent(kong, KongEntity, name)


async def names(entities: CrudComponent[Any], field: str = "name") -> set[str]:
    return {entity[field] for entity in await entities.get_full_list()}


async def test_services_and_their_routes_are_made_changed_listed_and_deleted(kong: Kong) -> None:
    service = await kong.services.create(name="orders", host="orders.test")
    route = await service.routes.create(name="orders", paths=["/orders"])
    assert route["service"] == {"id": service.id}
    assert (await kong.services.get("orders")).data == service.data
    assert (await kong.services.update("orders", port=8080))["port"] == 8080
    assert await kong.routes.has("orders")
    assert not await kong.routes.has("nothing")
    assert [found.id for found in await service.routes.get_list()] == [route.id]
    await kong.services.delete("orders")
    assert await kong.services.get_list() == []
    assert await kong.routes.get_list() == []


async def test_a_list_is_read_page_by_page(kong: Kong) -> None:
    made = {f"s{number}" for number in range(7)}
    for name in made:
        await kong.services.create(name=name, host="h.test", tags=["t"])
    await kong.services.create(name="other", host="h.test")
    found = await kong.services.get_full_list(size=2, tags="t")
    assert sorted(service.name for service in found) == sorted(made)


async def test_refusals_are_told_with_status_and_message(kong: Kong) -> None:
    with pytest.raises(KongResponseError) as missing:
        await kong.services.get("nothing")
    assert (missing.value.status, missing.value.message["message"]) == (404, "Not found")
    with pytest.raises(KongResponseError) as invalid:
        await kong.services.create(name="orders")
    assert invalid.value.status == 400
    assert invalid.value.message["fields"] == {"host": "required field missing"}
    await kong.services.create(name="orders", host="h.test")
    with pytest.raises(KongResponseError) as taken:
        await kong.services.create(name="orders", host="h.test")
    assert (taken.value.status, taken.value.message["code"]) == (409, 5)


async def test_plugins_are_bound_to_services_routes_and_consumers(kong: Kong) -> None:
    service = await kong.services.create(name="orders", host="orders.test")
    route = await service.routes.create(name="orders", paths=["/orders"])
    consumer = await kong.consumers.create(username="bob")
    for entity, scope in ((service, "service"), (route, "route"), (consumer, "consumer")):
        plugin = await entity.plugins.create(
            name="request-termination", config={"status_code": 418}
        )
        assert plugin[scope] == {"id": entity.id}
        changed = await entity.plugins.update(plugin.id, name="request-termination", enabled=False)
        assert (changed["enabled"], changed["config"]["status_code"]) == (False, 418)
    assert len(await kong.plugins.get_full_list()) == 3
    assert await route.plugins.delete_all() == 1


async def test_an_anonymous_consumer_is_named_by_its_username(kong: Kong) -> None:
    nobody = await kong.consumers.create(username="nobody")
    plugin = await kong.plugins.create(name="key-auth", config={"anonymous": "nobody"})
    assert plugin["config"]["anonymous"] == nobody.id


async def test_consumers_have_credentials_and_groups(kong: Kong) -> None:
    bob = await kong.consumers.create(username="bob", custom_id="17")
    key = await bob.keyauths.create_credentials(data={"key": "k1"})
    assert (await bob.keyauths.create_or_update_credentials({"key": "k1"})).id == key.id
    basic = await bob.basicauths.create_credentials(data={"username": "bob", "password": "p"})
    assert basic["password"] != "p"
    token = await bob.jwts.get_or_create()
    assert token["algorithm"] == "HS256"
    assert (await bob.jwts.get_or_create()).id == token.id
    await bob.acls.create(group="staff")
    assert await names(bob.acls, "group") == {"staff"}
    assert (await kong.consumers.get_list(custom_id="17"))[0].id == bob.id
    assert await names(component(kong, "key-auths"), "key") == {"k1"}
    await kong.consumers.delete("bob")
    for collection in ("key-auths", "basic-auths", "jwts", "acls"):
        assert await component(kong, collection).get_full_list() == []


async def test_upstreams_and_their_targets(kong: Kong) -> None:
    upstreams = component(kong, "upstreams")
    upstream = await upstreams.create(name="orders.v1")
    targets = CrudComponent(upstream, KongEntity, "targets")
    made = await kong.execute(f"{upstream.url}/targets", "post", json={"target": "h.test"})
    assert (made["target"], made["weight"]) == ("h.test:8000", 100)
    assert isinstance(made["created_at"], float)
    assert [found["target"] for found in await targets.get_list()] == ["h.test:8000"]
    await upstreams.delete("orders.v1")
    assert await upstreams.get_list() == []


async def test_certificates_and_the_server_names_of_each(kong: Kong) -> None:
    made = pair("a.test")
    certificate = await kong.certificates.create(cert=made.cert, key=made.key, snis=["a.test"])
    await certificate.snis.create(name="b.test")
    assert (await kong.certificates.get("b.test"))["snis"] == ["a.test", "b.test"]
    (changed,) = await kong.snis.apply_json({"name": "a.test", "tags": ["t"]})
    assert changed["tags"] == ["t"]
    assert await names(certificate.snis) == {"a.test", "b.test"}
    await kong.certificates.delete(certificate.id)
    assert await kong.snis.get_list() == []


async def test_a_declaration_is_applied_and_applied_again_with_the_same_outcome(
    kong: Kong,
) -> None:
    await kong.services.create(name="gone", host="gone.test")
    for _ in range(2):
        applied = await kong.apply_json(yaml.safe_load(DECLARATION))
        assert [service.name for service in applied["services"]] == ["orders"]
        assert await names(kong.services) == {"orders"}
        assert await names(kong.routes) == {"orders", "health"}
        assert await names(kong.plugins) == {"cors", "key-auth", "request-termination"}
        assert await names(component(kong, "acls"), "group") == {"staff", "ops"}
        assert await names(component(kong, "key-auths"), "key") == {"bobs-key"}
        assert await names(component(kong, "basic-auths"), "username") == {"bob"}


async def test_what_a_declaration_no_longer_names_is_deleted(kong: Kong) -> None:
    wanted = yaml.safe_load(DECLARATION)
    await kong.apply_json(wanted)
    del wanted["services"][0]["routes"][1]
    wanted["services"][0]["plugins"] = []
    wanted["consumers"][0]["groups"] = ["ops"]
    await kong.apply_json(wanted)
    assert await names(kong.routes) == {"orders"}
    assert await names(kong.plugins) == {"cors", "request-termination"}
    assert await names(component(kong, "acls"), "group") == {"ops"}
    await kong.delete_all()
    for collection in ("services", "routes", "consumers", "plugins", "acls", "key-auths"):
        assert await component(kong, collection).get_full_list() == []
