"""Consumers and their credentials: inputs, what is drawn and transformed, Kong's texts."""

import hashlib
from typing import Any

import pytest

from store.schema import schema
from tests.store.pems import pair
from tests.store.refusals import ID, NOW, OTHER_ID, new, said

OWNER = {"id": OTHER_ID}


def test_a_new_consumer_has_kongs_defaults() -> None:
    assert new("consumers", username="bob") == {
        "id": ID,
        "created_at": int(NOW),
        "updated_at": int(NOW),
        "username": "bob",
        "custom_id": None,
        "tags": None,
    }


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            "consumers",
            {},
            "at least one of these fields must be non-empty: 'custom_id', 'username'",
        ),
        ("consumers", {"username": "", "custom_id": "c"}, "username: length must be at least 1"),
        ("consumers", {"username": 1}, "username: expected a string"),
        ("keyauth_credentials", {}, "consumer: required field missing"),
        (
            "keyauth_credentials",
            {"consumer": OWNER, "ttl": -1},
            "ttl: value should be between 0 and 100000000",
        ),
        (
            "keyauth_credentials",
            {"consumer": OWNER, "expires_at": 1},
            "expires_at: unknown field",
        ),
        (
            "basicauth_credentials",
            {"consumer": OWNER, "username": "u"},
            "password: required field missing",
        ),
        ("hmacauth_credentials", {"consumer": OWNER}, "username: required field missing"),
        (
            "jwt_secrets",
            {"consumer": OWNER, "algorithm": "none"},
            "algorithm: expected one of: HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, "
            "ES512, PS256, PS384, PS512, EdDSA",
        ),
        ("acls", {"consumer": OWNER}, "group: required field missing"),
        ("oauth2_credentials", {"consumer": OWNER}, "name: required field missing"),
        (
            "oauth2_credentials",
            {"consumer": OWNER, "name": "n", "redirect_uris": ["not a uri"]},
            "redirect_uris.1: cannot parse 'not a uri'",
        ),
        (
            "oauth2_credentials",
            {"consumer": OWNER, "name": "n", "redirect_uris": ["http://a.test/#x"]},
            "redirect_uris.1: fragment not allowed in 'http://a.test/#x'",
        ),
        (
            "oauth2_tokens",
            {"credential": OWNER, "expires_in": 1, "token_type": "mac"},
            "token_type: expected one of: bearer",
        ),
        ("oauth2_tokens", {"credential": OWNER}, "expires_in: required field missing"),
        (
            "oauth2_authorization_codes",
            {"credential": OWNER, "challenge_method": "plain"},
            "challenge_method: expected one of: S256",
        ),
        ("sessions", {}, "session_id: required field missing"),
    ],
)
def test_what_is_wrong_is_said_in_kongs_words(
    kind: str, fields: dict[str, Any], expected: str
) -> None:
    assert said(kind, fields) == expected


@pytest.mark.parametrize(
    ("kind", "fields", "drawn"),
    [
        ("keyauth_credentials", {}, ("key",)),
        ("hmacauth_credentials", {"username": "u"}, ("secret",)),
        ("jwt_secrets", {}, ("key", "secret")),
        ("oauth2_credentials", {"name": "n"}, ("client_id", "client_secret")),
    ],
)
def test_secrets_are_drawn_when_they_are_not_given(
    kind: str, fields: dict[str, Any], drawn: tuple[str, ...]
) -> None:
    entity = new(kind, consumer=OWNER, **fields)
    assert [entity[name] for name in drawn] == ["drawn"] * len(drawn)
    given = new(kind, consumer=OWNER, **fields, **dict.fromkeys(drawn, "given"))
    assert [given[name] for name in drawn] == ["given"] * len(drawn)


def test_a_password_is_stored_as_kongs_salted_hash() -> None:
    entity = new("basicauth_credentials", consumer=OWNER, username="u", password="p")
    hashed = hashlib.sha1(f"p{OTHER_ID}".encode()).hexdigest()
    assert entity["password"] == hashed
    credentials = schema("basicauth_credentials")
    renamed = credentials.validate_patch(entity, {"username": "v"}, NOW)
    assert (renamed["username"], renamed["password"]) == ("v", hashed)
    changed = credentials.validate_patch(entity, {"password": "q"}, NOW)
    assert changed["password"] == hashlib.sha1(f"q{OTHER_ID}".encode()).hexdigest()


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_rsa_signatures_need_a_public_key(algorithm: str) -> None:
    conditional = "failed conditional validation given value of field 'algorithm'"
    fields = {"consumer": OWNER, "algorithm": algorithm}
    assert said("jwt_secrets", fields) == f"{conditional}; rsa_public_key: required field missing"
    wrong = {**fields, "rsa_public_key": "no key"}
    assert said("jwt_secrets", wrong) == f"{conditional}; rsa_public_key: invalid key"
    key = pair(algorithm="rsa").public_key
    assert new("jwt_secrets", **fields, rsa_public_key=key)["rsa_public_key"] == key


def test_a_client_secret_is_stored_as_a_hash_when_asked_for() -> None:
    fields = {"consumer": OWNER, "name": "n", "client_secret": "s"}
    assert new("oauth2_credentials", **fields)["client_secret"] == "s"
    hashed = new("oauth2_credentials", **fields, hash_secret=True)["client_secret"]
    assert hashed.startswith("$pbkdf2-sha512$i=10000,l=32$")
    entity = new("oauth2_credentials", **fields, hash_secret=True)
    again = schema("oauth2_credentials").validate_patch(entity, {"hash_secret": True}, NOW)
    assert hashed == entity["client_secret"] == again["client_secret"]


def test_ttl_becomes_a_time_of_expiry_and_is_shown_as_what_is_left() -> None:
    keys = schema("keyauth_credentials")
    lasting = new("keyauth_credentials", consumer=OWNER)
    assert (lasting["expires_at"], keys.show(lasting, NOW)["ttl"]) == (None, None)
    brief = new("keyauth_credentials", consumer=OWNER, ttl=10)
    assert "ttl" not in brief
    shown = keys.show(brief, NOW + 2.5)
    assert shown["ttl"] == 7
    assert "expires_at" not in shown
    assert keys.is_live(brief, NOW + 9.9)
    assert not keys.is_live(brief, NOW + 10)


def test_a_patch_keeps_the_time_of_expiry_unless_it_names_a_ttl() -> None:
    keys = schema("keyauth_credentials")
    brief = new("keyauth_credentials", consumer=OWNER, ttl=10)
    tagged = keys.validate_patch(brief, {"tags": ["a"]}, NOW + 5)
    assert tagged["expires_at"] == NOW + 10
    assert keys.validate_patch(brief, {"ttl": 10}, NOW + 5)["expires_at"] == NOW + 15
    assert keys.validate_patch(brief, {"ttl": None}, NOW + 5)["expires_at"] is None
    assert keys.validate_patch(brief, {"ttl": 0}, NOW + 5)["expires_at"] is None
    assert keys.validate_put(brief, ID, {"consumer": OWNER}, NOW + 5)["expires_at"] is None
