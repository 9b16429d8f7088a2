"""Vaults in a worker: found by name, and told of when they change."""

import json
from typing import Any

from node.proxy.table import Table
from node.references import Vault
from store.schema.field import Field

FIELDS = {"secret": Field("string", referenceable=True)}
ENVIRON = {"A_KEY": "of a", "B_KEY": "of b", "KEY": "plain"}


def text(prefix: str, variables: str | None, kind: str = "env") -> str:
    config = {} if variables is None else {"prefix": variables}
    return json.dumps({"prefix": prefix, "name": kind, "config": config})


def told() -> tuple[Table, list[str]]:
    refused: list[str] = []
    return Table(refused.append), refused


def resolved(table: Table, reference: str) -> Any:
    return table.vaults.resolved(FIELDS, {"secret": reference}, ENVIRON)["secret"]


def test_a_vault_is_there_from_the_changeset_on_that_brings_it() -> None:
    table, refused = told()
    assert resolved(table, "{vault://mine/key}") == ""
    assert refused == [
        "unable to resolve reference {vault://mine/key} (there is no vault 'mine');"
        " it counts as empty"
    ]
    table.apply((1, 0, 1), [("vaults", "1", text("mine", "A_"))])
    assert resolved(table, "{vault://mine/key}") == "of a"
    table.apply((1, 0, 2), [("vaults", "1", text("mine", "B_"))])
    assert resolved(table, "{vault://mine/key}") == "of b"
    table.apply((1, 0, 3), [("vaults", "1", None)])
    assert resolved(table, "{vault://mine/key}") == ""
    assert table.vaults.changes == 4


def test_vaults_may_exchange_their_names_in_one_changeset() -> None:
    table, _ = told()
    table.apply((1, 0, 1), [("vaults", "1", text("a", "A_")), ("vaults", "2", text("b", "B_"))])
    table.apply((1, 0, 2), [("vaults", "1", text("b", "A_")), ("vaults", "2", text("a", "B_"))])
    assert resolved(table, "{vault://a/key}") == "of b"
    assert resolved(table, "{vault://b/key}") == "of a"
    assert table.difference([], {"vaults": 2}) == ""


def test_the_environment_is_there_without_a_vault_and_with_the_nodes_prefix() -> None:
    table, _ = told()
    assert resolved(table, "{vault://env/key}") == "plain"
    assert resolved(Table(lambda _: None, vault_env_prefix="A_"), "{vault://env/key}") == "of a"


def test_an_audit_finds_a_vault_that_is_missing_or_another() -> None:
    table, _ = told()
    table.apply((1, 0, 1), [("vaults", "1", text("mine", "A_"))])
    assert table.difference([("vaults", "1", text("mine", "A_"))], {"vaults": 1}) == ""
    assert table.difference([("vaults", "1", text("mine", "B_"))], {"vaults": 1}) == "vaults 1"
    assert table.difference([], {"vaults": 2}) == "1 vaults instead of 2"
    table.vaults.by_name["ghost"] = Vault()
    assert table.difference([], {"vaults": 1}) == "3 names of vaults instead of 2"


def test_a_vault_that_cannot_be_read_is_left_out_and_said() -> None:
    table, refused = told()
    table.apply((1, 0, 1), [("vaults", "1", "{}")])
    assert refused == ["vaults 1 is left out: 'prefix'"]
    assert table.difference([], {"vaults": 1}) == ""
