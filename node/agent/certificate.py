"""The certificate that TLS listeners present when none is configured, as Kong makes one."""

import datetime
import os
import socket
import ssl
from pathlib import Path

from node.config.settings import Settings

VALID_DAYS = 20 * 365


def default_certificate(prefix: Path) -> tuple[Path, Path]:
    """PEM files (certificate, key) of a self-signed certificate in the prefix, made once."""
    folder = prefix / "ssl"
    certificate, key = folder / "default.crt", folder / "default.key"
    if certificate.exists() and key.exists():
        return certificate, key
    folder.mkdir(mode=0o700, exist_ok=True)
    made, secret = _self_signed()
    _write(key, secret)
    _write(certificate, made)
    return certificate, key


def _self_signed() -> tuple[bytes, bytes]:
    """A certificate and its key, in PEM.

    ECDSA P-256, since a handshake with it costs a fraction of one with RSA.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name) for name in dict.fromkeys(("localhost", socket.gethostname()))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(secret, hashes.SHA256())
    )
    key = secret.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return built.public_bytes(serialization.Encoding.PEM), key


def server_context(settings: Settings) -> ssl.SSLContext:
    """TLS for the agent's own listeners: the configured certificate, else the default one."""
    return _context(*certificate_files(settings))


def gui_context(settings: Settings) -> ssl.SSLContext:
    """TLS for the dashboard: its own certificate if it has one."""
    if not settings.admin_gui_ssl_cert:
        return server_context(settings)
    return _context(Path(settings.admin_gui_ssl_cert), Path(settings.admin_gui_ssl_cert_key))


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def certificate_files(settings: Settings) -> tuple[Path, Path]:
    """PEM files (certificate, key) of this node's TLS listeners."""
    if settings.ssl_cert:
        return Path(settings.ssl_cert), Path(settings.ssl_cert_key)
    return default_certificate(settings.prefix)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
