"""Certificates for tests."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate, its chain after it, and its key, as PEM text."""

    cert: str
    key: str

    def files(self, folder: Path) -> tuple[Path, Path]:
        """The same in files."""
        cert_file, key_file = folder / "cert.pem", folder / "key.pem"
        cert_file.write_text(self.cert)
        key_file.write_text(self.key)
        return cert_file, key_file


class Issuer:
    """An authority that issues certificates: by itself, or under another one."""

    def __init__(self, name: str = "authority", under: "Issuer | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _subject(name)
        issuer = under or self
        self._certificate = issuer._sign(self._subject, self._key, (), authority=True)
        self._chain: str = "" if under is None else self.pem + under._chain

    @property
    def pem(self) -> str:
        return _pem(self._certificate)

    def issue(self, *names: str, rsa_key: bool = False) -> Pair:
        """A certificate for names or addresses; the first is its common name, too."""
        key: Key
        if rsa_key:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_subject(names[0]), key, names, authority=False)
        return Pair(_pem(certificate) + self._chain, _key_pem(key))

    def _sign(
        self, subject: x509.Name, key: Key, names: tuple[str, ...], authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a name, and its key, as PEM files."""
    return self_signed_pair(name).files(folder)


def self_signed_pair(name: str) -> Pair:
    """A certificate for a name that needs no authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(_subject(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([_general(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(_pem(certificate), _key_pem(key))


def common_name(der: bytes | None) -> str:
    """Whom a certificate is for."""
    assert der
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def key_type(der: bytes | None) -> str:
    """``RSA`` or ``EC``."""
    assert der
    key = x509.load_der_x509_certificate(der).public_key()
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else "EC"


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
