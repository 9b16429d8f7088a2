"""Which TLS is offered and shown: what the keys together mean, and what is refused."""

from pathlib import Path

import pytest

from node.agent.proxying import proxy_settings
from node.config.tls import SUITES
from node.proxy.settings import ProxySettings
from tests.config.test_load import read, refused


def for_workers(text: str) -> ProxySettings:
    Path("node1").mkdir(exist_ok=True)
    return proxy_settings(read(text))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("", ("TLSv1.2", "TLSv1.3")),
        ("ssl_protocols = TLSv1.1 TLSv1.2 TLSv1.3", ("TLSv1.2", "TLSv1.3")),
        ("ssl_protocols = tlsv1.3", ("TLSv1.3",)),
        ("ssl_cipher_suite = modern", ("TLSv1.3",)),
        ("ssl_cipher_suite = old", ("TLSv1.2", "TLSv1.3")),
        ("ssl_cipher_suite = fips", ("TLSv1.2",)),
        ("ssl_cipher_suite = old\nssl_protocols = TLSv1.2", ("TLSv1.2",)),
    ],
)
def test_a_suite_and_the_protocols_together_say_which_versions(
    text: str, versions: tuple[str, ...]
) -> None:
    assert for_workers(text).ssl_protocols == versions


def test_ciphers_are_the_suites_unless_it_is_custom() -> None:
    assert for_workers("ssl_ciphers = AES128-SHA").ssl_ciphers == SUITES["intermediate"].ciphers
    custom = "ssl_cipher_suite = custom\nssl_ciphers = AES128-GCM-SHA256"
    assert for_workers(custom).ssl_ciphers == "AES128-GCM-SHA256"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ssl_protocols = TLSv1.1", "the versions that are offered"),
        ("ssl_protocols = SSLv3", "'SSLv3'"),
        ("ssl_cipher_suite = modern\nssl_protocols = TLSv1.2", "none of them is in"),
        ("ssl_cipher_suite = custom", "name ciphers"),
        ("ssl_cipher_suite = custom\nssl_ciphers = NONSENSE", "OpenSSL knows none"),
        ("ssl_cipher_suite = best", "is none of modern"),
        ("client_ssl_cert = /nowhere.pem", "client_ssl_cert_key: is unset"),
        ("lua_ssl_trusted_certificate = system, /nowhere.pem", "'/nowhere.pem': can't be read"),
    ],
)
def test_what_can_not_be_offered_is_refused(text: str, problem: str) -> None:
    assert any(problem in each for each in refused(text)), refused(text)


def test_a_client_certificate_is_shown_only_when_client_ssl_is_on() -> None:
    for name in ("cert.pem", "key.pem"):
        Path(name).touch()
    files = "client_ssl_cert = cert.pem\nclient_ssl_cert_key = key.pem\n"
    assert for_workers(files).client_ssl_cert == ""
    assert for_workers(f"{files}client_ssl = on").client_ssl_cert == "cert.pem"
    assert for_workers("client_ssl = on").client_ssl_cert.endswith("node1/ssl/default.crt")
