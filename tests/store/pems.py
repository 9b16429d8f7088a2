"""Keys and certificates in PEM, made for tests."""

import datetime
from functools import cache
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Algorithm = Literal["ec", "rsa"]


class Pair(NamedTuple):
    """A certificate and its key."""

    cert: str
    key: str
    public_key: str


@cache
def pair(
    name: str = "a.test", algorithm: Algorithm = "ec", *, ca: bool = False, expired: bool = False
) -> Pair:
    """A self-signed certificate; the same arguments give the same one."""
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ec"
        else rsa.generate_private_key(65537, 2048)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(days=-1 if expired else 3650)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(end)
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(encoding)
    return Pair(certificate.decode(), private.decode(), public.decode())
