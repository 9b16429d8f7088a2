"""Certificates, the server names that they are shown for, and those of authorities.

After ``entities/certificates.lua``, ``snis.lua`` and ``ca_certificates.lua``.
"""

from collections.abc import Mapping
from typing import Any

from store.limits import UNIQUE_CHARS_MAX
from store.schema.checks import Custom, MutuallyRequired
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.parts import Collected, Transformation
from store.schema.typedefs import (
    CERTIFICATE,
    CREATED_AT,
    PRIVATE_KEY,
    TAGS,
    UPDATED_AT,
    UUID,
    WILDCARD_HOST,
    having,
)


def _pair_error(entity: Mapping[str, Any]) -> str | None:
    from store.schema.pem import belong_together

    if belong_together(entity["cert"], entity["key"]):
        return None
    return "certificate does not match key"


def _alternative_pair_error(entity: Mapping[str, Any]) -> str | None:
    from store.schema.pem import belong_together

    certificate, key = entity.get("cert_alt"), entity.get("key_alt")
    if certificate is None or key is None or belong_together(certificate, key):
        return None
    return "alternative certificate does not match key"


def _alternative_type_error(entity: Mapping[str, Any]) -> str | None:
    from store.schema.pem import same_type

    alternative = entity.get("cert_alt")
    if alternative is None or not same_type(entity["cert"], alternative):
        return None
    return (
        "certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), "
        "the provided certificates were both of the same type"
    )


CERTIFICATES = Schema(
    kind="certificates",
    entity_name="certificate",
    endpoint_key=None,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "cert": having(
            CERTIFICATE,
            description="In PEM, its chain after it.",
            required=True,
            referenceable=True,
        ),
        "key": having(PRIVATE_KEY, description="In PEM.", required=True, referenceable=True),
        "cert_alt": having(
            CERTIFICATE, description="One more, of another algorithm.", referenceable=True
        ),
        "key_alt": having(PRIVATE_KEY, description="That one's key.", referenceable=True),
        "tags": TAGS,
        "snis": Field(
            "set",
            "Server names that it is shown for, each an entity of the kind snis.",
            elements=WILDCARD_HOST,
            transient=True,
        ),
    },
    checks=(
        MutuallyRequired(("cert_alt", "key_alt")),
        Custom(("cert", "key"), _pair_error),
        Custom(("cert_alt", "key_alt"), _alternative_pair_error),
        Custom(("cert", "cert_alt"), _alternative_type_error),
    ),
    collected={"snis": Collected("snis", "certificate", "name")},
)

SNIS = Schema(
    kind="snis",
    entity_name="sni",
    endpoint_key="name",
    fields={
        "id": UUID,
        "name": having(
            WILDCARD_HOST,
            description="With at most one wildcard label, first or last.",
            required=True,
            unique=True,
            len_max=UNIQUE_CHARS_MAX,
        ),
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "certificate": Field(
            "foreign",
            "What is shown for it.",
            reference="certificates",
            required=True,
            on_delete="cascade",
        ),
        "tags": TAGS,
    },
)


def _authority_error(entity: Mapping[str, Any]) -> str | None:
    from store.schema.pem import authority_error

    return authority_error(entity["cert"], entity["updated_at"])


def _digest(entity: Mapping[str, Any], now: float) -> dict[str, str]:
    from store.schema.pem import certificate_digest

    return {"cert_digest": certificate_digest(entity["cert"])}


CA_CERTIFICATES = Schema(
    kind="ca_certificates",
    entity_name="ca_certificate",
    endpoint_key=None,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "cert": having(CERTIFICATE, description="One, in PEM.", required=True),
        "cert_digest": Field("string", "SHA-256 of it; computed.", unique=True),
        "tags": TAGS,
    },
    checks=(Custom(("cert",), _authority_error),),
    transformations=(Transformation(("cert",), _digest),),
)
