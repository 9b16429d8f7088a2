"""References to secrets in entities: taken, kept and shown as references."""

import pytest

from store.declarative.document import read_document
from tests.admin.client import Client

REFERENCE = "{vault://env/my-secret}"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cret")


async def test_a_certificate_may_be_a_reference_and_is_shown_as_one(admin: Client) -> None:
    fields = {"cert": REFERENCE, "key": REFERENCE, "snis": ["a.test"]}
    created = await admin.post("/certificates", json=fields)
    assert created.status == 201
    shown = (await admin.get(f"/certificates/{created.json['id']}")).json
    assert (shown["cert"], shown["key"]) == (REFERENCE, REFERENCE)


async def test_a_vault_is_an_entity_like_others(admin: Client) -> None:
    vault = {"name": "env", "prefix": "my-vault", "config": {"prefix": "APP_"}}
    assert (await admin.post("/vaults", json=vault)).status == 201
    assert (await admin.get("/vaults/my-vault")).json["config"] == {"prefix": "APP_"}
    taken = await admin.post("/vaults", json={**vault, "prefix": "env"})
    assert taken.status == 400


async def test_a_field_that_takes_no_reference_keeps_its_rules(admin: Client) -> None:
    answer = await admin.post("/services", json={"host": "h", "path": REFERENCE})
    assert answer.json["fields"] == {"path": "should start with: /"}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("session", {"secret": REFERENCE}),
        ("http-log", {"http_endpoint": REFERENCE, "headers": {"X-Token": REFERENCE}}),
        ("rate-limiting", {"minute": 1, "redis": {"host": "r.test", "password": REFERENCE}}),
    ],
)
def test_a_plugins_settings_take_them_where_kongs_do(name: str, config: dict[str, object]) -> None:
    text = {"_format_version": "3.0", "plugins": [{"name": name, "config": config}]}
    ((_, plugin),) = read_document(str(text).replace("'", '"')).entities
    for key, value in config.items():
        if not isinstance(value, dict):
            assert plugin["config"][key] == value
    assert "s3cret" not in str(plugin)
