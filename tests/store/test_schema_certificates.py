"""Certificates, server names, authorities and keys: what is checked of them, in Kong's words."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from store.errors import EntityError
from store.schema import schema
from tests.store.pems import Pair, pair
from tests.store.refusals import ID, NOW, OTHER_ID, new, refusal, said

A, B = pair("a.test"), pair("b.test")
RSA = pair("r.test", "rsa")
CA = pair("ca.test", ca=True)


def both(a: Pair, **others: Any) -> dict[str, Any]:
    return {"cert": a.cert, "key": a.key, **others}


def test_a_new_certificate_has_kongs_defaults() -> None:
    assert new("certificates", **both(A), snis=["a.test"]) == {
        "id": ID,
        "created_at": int(NOW),
        "updated_at": int(NOW),
        "cert": A.cert,
        "key": A.key,
        "cert_alt": None,
        "key_alt": None,
        "tags": None,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "cert: required field missing; key: required field missing"),
        (
            {"cert": "x", "key": A.key},
            "cert: invalid certificate: not a certificate in PEM",
        ),
        ({"cert": A.cert, "key": "x"}, "key: invalid key: not a private key in PEM"),
        ({"cert": A.cert, "key": B.key}, "certificate does not match key"),
        (
            both(A, cert_alt=RSA.cert),
            "all or none of these fields must be set: 'cert_alt', 'key_alt'",
        ),
        (
            both(A, cert_alt=RSA.cert, key_alt=A.key),
            "alternative certificate does not match key",
        ),
        (
            both(A, cert_alt=B.cert, key_alt=B.key),
            "certificate and alternative certificate need to have different type "
            "(e.g. RSA and ECDSA), the provided certificates were both of the same type",
        ),
        (both(A, snis=["1.2.3.4"]), "snis.1: must not be an IP"),
        (both(A, snis=["a.*.test"]), "snis.1: wildcard must be leftmost or rightmost character"),
    ],
)
def test_what_is_wrong_is_said_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    assert said("certificates", fields) == expected


def test_two_algorithms_may_stand_side_by_side() -> None:
    assert new("certificates", **both(A, cert_alt=RSA.cert, key_alt=RSA.key))["key_alt"] == RSA.key


def test_a_key_in_a_vault_is_not_looked_at() -> None:
    reference = "{vault://env/my-key}"
    assert new("certificates", cert=A.cert, key=reference)["key"] == reference


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "certificate: required field missing; name: required field missing"),
        ({"name": "a:80"}, "must not have a port"),
        ({"name": "::1"}, "must not be an IP"),
        ({"name": "*.a.*"}, "only one wildcard must be specified"),
    ],
)
def test_a_bad_server_name_is_told(fields: dict[str, Any], expected: str) -> None:
    if fields:
        assert refusal("snis", {**fields, "certificate": {"id": ID}}).fields == {"name": expected}
    else:
        assert said("snis", fields) == expected


def test_a_ca_certificate_is_known_by_its_digest() -> None:
    der = x509.load_pem_x509_certificate(CA.cert.encode()).public_bytes(serialization.Encoding.DER)
    entity = new("ca_certificates", cert=CA.cert)
    assert entity["cert_digest"] == hashlib.sha256(der).hexdigest()
    assert schema("ca_certificates").claims(entity) == {"cert_digest": entity["cert_digest"]}


@pytest.mark.parametrize(
    ("cert", "expected"),
    [
        (CA.cert + CA.cert, "please submit only one certificate at a time"),
        (
            pair("old.test", ca=True, expired=True).cert,
            'certificate expired, "Not After" time is in the past',
        ),
        (
            A.cert,
            "certificate does not appear to be a CA because it is missing the "
            '"CA" basic constraint',
        ),
        ("x", None),
    ],
)
def test_what_cannot_vouch_for_others_is_refused(cert: str, expected: str | None) -> None:
    with pytest.raises(EntityError) as caught:
        schema("ca_certificates").validate_new({"cert": cert}, 2_000_000_000)
    wrong = {"cert": "invalid certificate: not a certificate in PEM"}
    assert caught.value.fields == ({"@entity": [expected]} if expected else wrong)


JWK = {
    "kid": "k1",
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
"""The key of RFC 7515, appendix A.3, without its private half."""
ED25519 = {
    "kid": "k1",
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
}
"""The key of RFC 8037, appendix A.1."""


def _base64url(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _rsa_jwk() -> dict[str, str]:
    key = serialization.load_pem_private_key(RSA.key.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    private = key.private_numbers()
    parts = {"d": private.d, "p": private.p, "q": private.q}
    parts |= {"n": private.public_numbers.n, "e": private.public_numbers.e}
    shown = {name: _base64url(number) for name, number in parts.items()}
    return {"kid": "k1", "kty": "RSA", **shown}


RSA_JWK = _rsa_jwk()
RSA_PUBLIC = {name: RSA_JWK[name] for name in ("kid", "kty", "n", "e")}


@pytest.mark.parametrize("key", [JWK, ED25519, RSA_JWK, RSA_PUBLIC])
def test_a_key_in_jwk_is_valid(key: dict[str, Any]) -> None:
    text = json.dumps(key)
    assert new("keys", kid="k1", jwk=text) == {
        "id": ID,
        "set": None,
        "name": None,
        "kid": "k1",
        "jwk": text,
        "pem": None,
        "tags": None,
        "created_at": int(NOW),
        "updated_at": int(NOW),
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"jwk": json.dumps(JWK)}, "kid: required field missing"),
        (
            {"kid": "k1"},
            "at least one of these fields must be non-empty: 'jwk', 'pem'",
        ),
        (
            {"kid": "k1", "jwk": json.dumps(JWK), "pem": {"public_key": A.public_key}},
            "only one or none of these fields must be set: 'jwk', 'pem'",
        ),
        ({"kid": "k1", "jwk": "{"}, "could not json decode jwk string"),
        ({"kid": "k2", "jwk": json.dumps(JWK)}, "kid in jwk.kid must be equal to keys.kid"),
        (
            {"kid": "k1", "jwk": json.dumps({**JWK, "y": JWK["x"]})},
            "could not load JWK, likely not a valid key",
        ),
        (
            {"kid": "k1", "jwk": json.dumps({"kid": "k1", "kty": "none"})},
            "could not load JWK, likely not a valid key",
        ),
        (
            {"kid": "k1", "jwk": json.dumps({**RSA_JWK, "n": "A" * 2_800})},
            "could not load JWK, likely not a valid key",
        ),
        (
            {"kid": "k1", "jwk": json.dumps({**JWK, "foo": 1})},
            "schema violation (foo: unknown field)",
        ),
        ({"kid": "k1", "pem": {"public_key": "x"}}, "pem: could not load public key"),
        ({"kid": "k1", "pem": {"private_key": "x"}}, "pem: could not load private key"),
        (
            {"kid": "k1", "pem": {"public_key": A.public_key, "private_key": B.key}},
            "pem: public key does not match private key",
        ),
    ],
)
def test_a_bad_key_is_told_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    message = refusal("keys", fields).message
    assert message == f"schema violation ({expected})"


def test_a_pair_of_keys_in_pem_is_valid() -> None:
    pem = {"public_key": A.public_key, "private_key": A.key}
    assert new("keys", kid="k", pem=pem)["pem"] == pem
    in_vault = {"private_key": "{vault://env/key}"}
    kept = new("keys", kid="k", pem=in_vault)["pem"]
    assert kept == {"public_key": None, **in_vault}


def test_a_vault_has_the_settings_of_its_kind() -> None:
    assert new("vaults", name="env", prefix="my-env", config={"prefix": "SSL_"}) == {
        "id": ID,
        "prefix": "my-env",
        "name": "env",
        "description": None,
        "config": {"prefix": "SSL_"},
        "created_at": int(NOW),
        "updated_at": int(NOW),
        "tags": None,
    }
    assert new("vaults", name="env", prefix="my-env")["config"] == {"prefix": None}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "name: required field missing"),
        ({"name": "hcv", "prefix": "p1"}, "name: vault 'hcv' is not installed"),
        ({"name": "env", "prefix": "env"}, "prefix: must not be one of: env"),
        ({"name": "env", "prefix": "1x"}, "prefix: invalid value: 1x"),
        (
            {"name": "env", "prefix": "p1", "config": {"prefix": "a-b"}},
            "config.prefix: invalid value: a-b",
        ),
        ({"name": "env", "prefix": "p1", "config": {"x": 1}}, "config.x: unknown field"),
    ],
)
def test_a_bad_vault_is_told_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    assert said("vaults", fields) == expected


def test_a_key_set_needs_nothing() -> None:
    assert new("key_sets", name="s")["name"] == "s"
    assert schema("keys").claims({"kid": "k", "set": {"id": OTHER_ID}}) != schema("keys").claims(
        {"kid": "k", "set": None}
    )
