"""Vaults as a worker knows them: what the references of other entities are resolved by."""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from node.proxy.holding import Holding, Refused
from node.references import ENVIRONMENT, Vault, resolve_fields
from store.schema.field import Field


class NamedVault(NamedTuple):
    """A vault entity."""

    name: str
    """By which references call it: the entity's ``prefix``."""
    vault: Vault


def read_vault(text: str) -> NamedVault:
    """Raises what ``Holding`` expects for one that can't be used."""
    entity = json.loads(text)
    return NamedVault(
        entity["prefix"], Vault(entity["name"], (entity.get("config") or {}).get("prefix") or "")
    )


class Vaults(Holding[NamedVault]):
    """By name. Who keeps what it has resolved compares ``changes`` with what it was then."""

    def __init__(self, refused: Refused, variable_prefix: str = "") -> None:
        """``variable_prefix``: the configuration's ``vault_env_prefix``."""
        super().__init__("vaults", read_vault, refused)
        self.by_name: dict[str, Vault] = {ENVIRONMENT: Vault(ENVIRONMENT, variable_prefix)}
        self.changes = 0
        """How often any vault has come, changed or gone."""

    def place(self, entity_id: str, entity: NamedVault) -> None:
        self.by_name[entity.name] = entity.vault
        self.changes += 1

    def displace(self, entity_id: str, entity: NamedVault) -> None:
        # Two may exchange their names in one changeset: then the name is another's by now.
        if self.by_name.get(entity.name) is entity.vault:
            del self.by_name[entity.name]
        self.changes += 1

    def is_placed(self, entity_id: str, entity: NamedVault) -> bool:
        return self.by_name.get(entity.name) is entity.vault

    def misplaced(self) -> str:
        wanted = len(self.held) + 1
        if len(self.by_name) == wanted:
            return ""
        return f"{len(self.by_name)} names of vaults instead of {wanted}"

    def resolved(
        self,
        fields: Mapping[str, Field],
        values: Mapping[str, Any],
        environ: Mapping[str, str] = os.environ,
    ) -> Mapping[str, Any]:
        """An entity, or a plugin's settings, with secrets in the place of references; ``fields``
        are its schema's. What leads nowhere is empty, and said."""
        return resolve_fields(fields, values, self.by_name, environ, self._unresolved)

    def _unresolved(self, reference: str, reason: str) -> None:
        self._refused(f"unable to resolve reference {reference} ({reason}); it counts as empty")
