"""A declaration with an entity of each kind that decK knows, for the tests of clients."""

import uuid
from collections.abc import Mapping
from typing import Any

from tests.store.pems import pair

_NAMES = uuid.UUID("7d9f3a52-0a41-4a3b-8a52-6f4c6a3f9d10")

Declaration = dict[str, list[dict[str, Any]]]


def entity_id(name: str) -> str:
    """The id of what a declaration calls by this name; always the same."""
    return str(uuid.uuid5(_NAMES, name))


def a_declaration(services: int, plugins: Mapping[str, Any] | None = None) -> Declaration:
    """So many services, each with a route, an upstream and a target; one of everything else.

    Each of ``plugins`` runs for everything, with its configuration there and its defaults.
    """
    tls, ca = pair("a.test"), pair("ca.test", ca=True)
    bob, certificate = _reference("bob"), _reference("certificate")
    return {
        "certificates": [_item("certificate", cert=tls.cert, key=tls.key)],
        "snis": [_item("a.test", name="a.test", certificate=certificate)],
        "ca_certificates": [_item("ca", cert=ca.cert)],
        "consumers": [_item("bob", username="bob", custom_id="17")],
        "key-auths": [_item("key-auth", key="k1", consumer=bob)],
        "hmac-auths": [_item("hmac", username="bob", secret="s", consumer=bob)],
        "jwts": [_item("jwt", key="iss", secret="s", algorithm="HS256", consumer=bob)],
        "acls": [_item(f"acl-{group}", group=group, consumer=bob) for group in ("staff", "ops")],
        "vaults": [_item("vault", name="env", prefix="my-env", config={"prefix": "X_"})],
        "key-sets": [_item("set", name="set")],
        "keys": [
            _item(
                "key",
                name="key",
                kid="1",
                set=_reference("set"),
                pem={"public_key": tls.public_key},
            )
        ],
        "services": [
            _item(f"s{number}", name=f"s{number}", host=f"u{number}", tags=["team-a", "deck"])
            for number in range(services)
        ],
        "routes": [
            _item(
                f"r{number}",
                name=f"r{number}",
                paths=[f"/r{number}"],
                methods=["GET", "POST"],
                service=_reference(f"s{number}"),
            )
            for number in range(services)
        ],
        "upstreams": [
            _item(
                f"u{number}",
                name=f"u{number}",
                healthchecks={"active": {"timeout": 3, "healthy": {"interval": 5}}},
            )
            for number in range(services)
        ],
        "targets": [
            _item(
                f"t{number}", target=f"10.0.0.{number % 250}:80", upstream=_reference(f"u{number}")
            )
            for number in range(services)
        ],
        "plugins": [
            _item(name, name=name, config=config) for name, config in (plugins or {}).items()
        ],
    }


def _item(name: str, /, **fields: Any) -> dict[str, Any]:
    return {"id": entity_id(name), "tags": ["deck"], **fields}


def _reference(name: str) -> dict[str, str]:
    return {"id": entity_id(name)}
