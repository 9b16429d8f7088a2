"""Whether the connection to Postgres is encrypted, and what of the server is verified."""

import datetime
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from store.errors import AuthorityUnavailable
from store.postgres_address import PostgresAddress, PostgresHost, Tls, TlsMode
from store.postgres_connection import connect
from tests.postgres_server import running_server


def make_certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for localhost, its key beside it with the suffix .key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.with_suffix(".key").chmod(0o600)
    return path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    return {name: make_certificate(folder, name) for name in ("server", "client", "stranger")}


@pytest.fixture(scope="module")
def server(certificates: dict[str, Path]) -> Iterator[PostgresAddress]:
    """A server with a certificate for localhost, which takes TLS connections only."""
    with running_server() as postgres:
        postgres.stop()
        for source, name in (("server.crt", "server.crt"), ("server.key", "server.key")):
            target = postgres.data / name
            shutil.copy(certificates["server"].with_name(source), target)
            shutil.chown(target, postgres.data.owner())
        rules = postgres.data / "pg_hba.conf"
        rules.write_text("hostssl all all all scram-sha-256\n")
        with (postgres.data / "postgresql.conf").open("a") as settings:
            settings.write("ssl = on\n")
        postgres.start()
        address = postgres.address()
        yield replace(address, hosts=(PostgresHost("localhost", postgres.port),))


async def is_encrypted(address: PostgresAddress, tls: Tls) -> bool:
    connection, _ = await connect(replace(address, tls=tls))
    encrypted: bool = await connection.fetchval(
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    )
    await connection.close()
    return encrypted


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_a_server_that_offers_tls_is_spoken_to_in_tls(
    server: PostgresAddress, mode: TlsMode
) -> None:
    assert await is_encrypted(server, Tls(mode))


async def test_a_certificate_that_is_trusted_and_fits_the_name_is_accepted(
    server: PostgresAddress, certificates: dict[str, Path]
) -> None:
    tls = Tls("verify-full", ca=str(certificates["server"]))
    assert await is_encrypted(server, tls)
    client = certificates["client"]
    mutual = replace(tls, certificate=str(client), certificate_key=str(client.with_suffix(".key")))
    assert await is_encrypted(server, mutual)


async def test_a_certificate_that_is_not_trusted_is_refused(
    server: PostgresAddress, certificates: dict[str, Path]
) -> None:
    for ca in (str(certificates["stranger"]), ""):
        with pytest.raises(AuthorityUnavailable, match=r"certificate verify failed.*pg_ssl_ca"):
            await is_encrypted(server, Tls("verify-full", ca=ca))


async def test_a_certificate_for_another_name_is_refused(
    server: PostgresAddress, certificates: dict[str, Path]
) -> None:
    address = replace(server, hosts=(PostgresHost("127.0.0.1", server.hosts[0].port),))
    with pytest.raises(AuthorityUnavailable, match=r"127\.0\.0\.1.*that pg_host is a name in it"):
        await is_encrypted(address, Tls("verify-full", ca=str(certificates["server"])))


async def test_a_file_that_is_no_certificate_is_an_error_and_not_a_crash(
    server: PostgresAddress, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    with pytest.raises(AuthorityUnavailable, match=r"No such file .*; check pg_ssl_ca"):
        await is_encrypted(server, Tls("verify-full", ca=str(ca)))
    ca.write_text("none")
    with pytest.raises(AuthorityUnavailable, match=r"a TLS file can't be used: .*X509"):
        await is_encrypted(server, Tls("verify-full", ca=str(ca)))


async def test_a_server_that_wants_tls_says_so_to_a_client_without(server: PostgresAddress) -> None:
    with pytest.raises(AuthorityUnavailable, match=r"no encryption; .*pg_hba"):
        await is_encrypted(server, Tls("disable"))


async def test_a_server_without_tls_is_used_in_clear_or_refused(
    postgres_database: PostgresAddress,
) -> None:
    assert not await is_encrypted(postgres_database, Tls("prefer"))
    for mode in ("require", "verify-full"):
        with pytest.raises(AuthorityUnavailable, match="offers no TLS; turn it on there"):
            await is_encrypted(postgres_database, Tls(mode))
