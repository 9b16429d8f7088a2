"""Certificates and keys in entities, in PEM or as JSON Web Keys: whether they are what they say.

Imported where one is looked at, not before: with its library this takes 11 MB and a tenth of a
second, and most workers never see one.
"""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256

from store.limits import JWK_PART_CHARS_MAX

_BAD = (ValueError, TypeError, UnsupportedAlgorithm)
"""What the library raises on text that isn't a key or certificate."""
_BEGIN = re.compile(r"-----BEGIN CERTIFICATE-----")


def certificate_error(text: str) -> str | None:
    """A certificate in PEM; others may follow it, as a chain."""
    return None if _certificate(text) else "invalid certificate: not a certificate in PEM"


def private_key_error(text: str) -> str | None:
    """A private key in PEM, without a passphrase."""
    return None if _public_half(text) else "invalid key: not a private key in PEM"


def is_public_key(text: str) -> bool:
    """A public key, or a private one that has it in it."""
    return _public_key(text) is not None or _public_half(text) is not None


def belong_together(certificate: str, key: str) -> bool:
    """Whether a valid certificate is of a valid private key."""
    parsed, public = _certificate(certificate), _public_half(key)
    assert parsed is not None
    assert public is not None
    return _bytes(parsed.public_key()) == _bytes(public)


def same_type(first: str, second: str) -> bool:
    """Whether two valid certificates have keys of one algorithm."""
    certificates = (_certificate(first), _certificate(second))
    kinds = {type(parsed.public_key()) for parsed in certificates if parsed is not None}
    return len(kinds) == 1


def certificate_digest(certificate: str) -> str:
    """SHA-256 of a valid certificate, in hexadecimal."""
    parsed = _certificate(certificate)
    assert parsed is not None
    return parsed.fingerprint(SHA256()).hex()


def authority_error(certificate: str, now: float) -> str | None:
    """Whether a valid certificate may vouch for others at ``now`` (Unix seconds)."""
    if len(_BEGIN.findall(certificate)) > 1:
        return "please submit only one certificate at a time"
    parsed = _certificate(certificate)
    assert parsed is not None
    if parsed.not_valid_after_utc < datetime.fromtimestamp(now, UTC):
        return 'certificate expired, "Not After" time is in the past'
    try:
        constraints = parsed.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, *_BAD):
        constraints = None
    if constraints is None or not constraints.ca:
        return (
            'certificate does not appear to be a CA because it is missing the "CA" basic constraint'
        )
    return None


def key_pair_error(pair: Mapping[str, Any]) -> str | None:
    """``public_key`` and ``private_key`` in PEM, of which either may be missing."""
    public_text, private_text = pair.get("public_key"), pair.get("private_key")
    public = _public_key(public_text) if public_text is not None else None
    if public_text is not None and public is None:
        return "could not load public key"
    half = _public_half(private_text) if private_text is not None else None
    if private_text is not None and half is None:
        return "could not load private key"
    if public is not None and half is not None and _bytes(public) != _bytes(half):
        return "public key does not match private key"
    return None


def is_jwk(key: Mapping[str, Any]) -> bool:
    """Whether a decoded JSON Web Key (RFC 7517) is a key of a type known here: RSA, EC or OKP."""
    load = _JWK_LOADERS.get(str(key.get("kty")))
    try:
        return load is not None and load(key) is not None
    except _BAD:
        return False


def _certificate(text: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(text.encode("utf-8"))
    except _BAD:
        return None


def _public_half(text: str) -> PublicKeyTypes | None:
    """The public key that belongs to a private one.

    Whether an RSA key's numbers are primes is not tested: of a large one, that takes minutes.
    """
    try:
        key = serialization.load_pem_private_key(
            text.encode("utf-8"), None, unsafe_skip_rsa_key_validation=True
        )
        return key.public_key()
    except _BAD:
        return None


def _public_key(text: str) -> PublicKeyTypes | None:
    try:
        return serialization.load_pem_public_key(text.encode("utf-8"))
    except _BAD:
        return None


def _bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _part(key: Mapping[str, Any], name: str) -> bytes:
    """A base64url member. Raises ValueError, TypeError."""
    text = key.get(name)
    if not isinstance(text, str):
        raise TypeError(f"no member '{name}'")
    if len(text) > JWK_PART_CHARS_MAX:
        raise ValueError(f"member '{name}' is too long")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _number(key: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_part(key, name), "big")


def _load_rsa(key: Mapping[str, Any]) -> object:
    public = rsa.RSAPublicNumbers(_number(key, "e"), _number(key, "n"))
    if "d" not in key or "p" not in key:
        # Factors can be found from d, but in no bounded time: the public half must do.
        return public.public_key()
    d, p, q = _number(key, "d"), _number(key, "p"), _number(key, "q")
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}


def _load_ec(key: Mapping[str, Any]) -> object:
    curve = _CURVES.get(str(key.get("crv")))
    if curve is None:
        return None
    public = ec.EllipticCurvePublicNumbers(_number(key, "x"), _number(key, "y"), curve())
    if "d" not in key:
        return public.public_key()
    return ec.EllipticCurvePrivateNumbers(_number(key, "d"), public).private_key()


_POINTS: dict[str, tuple[Callable[[bytes], object], Callable[[bytes], object]]] = {
    "Ed25519": (
        ed25519.Ed25519PublicKey.from_public_bytes,
        ed25519.Ed25519PrivateKey.from_private_bytes,
    ),
    "Ed448": (ed448.Ed448PublicKey.from_public_bytes, ed448.Ed448PrivateKey.from_private_bytes),
    "X25519": (
        x25519.X25519PublicKey.from_public_bytes,
        x25519.X25519PrivateKey.from_private_bytes,
    ),
    "X448": (x448.X448PublicKey.from_public_bytes, x448.X448PrivateKey.from_private_bytes),
}


def _load_okp(key: Mapping[str, Any]) -> object:
    loaders = _POINTS.get(str(key.get("crv")))
    if loaders is None:
        return None
    public, private = loaders
    return private(_part(key, "d")) if "d" in key else public(_part(key, "x"))


_JWK_LOADERS: dict[str, Callable[[Mapping[str, Any]], object]] = {
    "RSA": _load_rsa,
    "EC": _load_ec,
    "OKP": _load_okp,
}
