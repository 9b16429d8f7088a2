"""The ``pg_*`` keys: what each may say, and what they may not say together."""

from pathlib import Path

import pytest

from node.config import postgres
from node.config.listen import HostPort
from node.config.load import ConfigError, load
from node.config.settings import Settings


def read(**keys: str) -> Settings:
    """The settings of a node on Postgres."""
    return load(None, {"prefix": "/p", "database": "postgres", **keys}, {})


def refused(**keys: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(**keys)
    return caught.value.problems


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("db1", "db1", 5432),
        ("db1:5433", "db1", 5433),
        ("10.0.0.1", "10.0.0.1", 5432),
        ("::1", "::1", 5432),
        ("[2001:db8::1]:5433", "2001:db8::1", 5433),
        ("/run/postgresql", "/run/postgresql", 5432),
    ],
)
def test_a_server_is_a_name_an_address_or_a_socket(text: str, host: str, port: int) -> None:
    assert postgres.server(text, 5432) == HostPort(host, port)


def test_several_servers_may_be_named() -> None:
    assert read(pg_host="db1, db2:5433,[::1]").pg_host == ("db1", "db2:5433", "[::1]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (",", "names no server"),
        ("db:0", "'db:0' has port 0"),
        ("db1,db 2", "'db 2' has 'db 2', which is no host name"),
        ("2001:db8::g", "is IPv6 without brackets"),
        ("/" + "x" * 5000, "is a path of 5001 characters"),
    ],
)
def test_what_names_no_server_is_refused(text: str, reason: str) -> None:
    (problem,) = refused(pg_host=text)
    assert reason in problem


@pytest.mark.parametrize("name", ["1st", "pg_mine", "Information_Schema", 'a"b', "x" * 64, "a.b"])
def test_what_can_be_no_schema_of_ours_is_refused(name: str) -> None:
    (problem,) = refused(pg_schema=name)
    assert "is no schema's name" in problem


@pytest.mark.parametrize("field", ["pg_ssl_required", "pg_ssl_verify"])
def test_a_wish_for_tls_without_tls_is_refused(field: str) -> None:
    assert refused(**{field: "on"}) == (
        f"{field}: is set, but pg_ssl is off; set pg_ssl to on, or leave {field} out",
    )


def test_a_bundle_that_is_missing_or_of_no_use_is_refused() -> None:
    assert refused(pg_ssl="on", pg_ssl_ca="none.pem") == (
        "pg_ssl_ca: is set, but nothing is verified; set pg_ssl_verify to on, or leave it out",
        "pg_ssl_ca = 'none.pem': No such file or directory; name a PEM file",
    )


def test_files_that_hold_no_pair_are_refused(tmp_path: Path) -> None:
    for name in ("a.crt", "a.key"):
        (tmp_path / name).write_text("none")
    (problem,) = refused(
        pg_ssl="on", pg_ssl_cert=str(tmp_path / "a.crt"), pg_ssl_cert_key=str(tmp_path / "a.key")
    )
    assert "can't be used with pg_ssl_cert_key" in problem


def test_with_another_database_the_keys_are_not_judged() -> None:
    settings = load(None, {"prefix": "/p", "database": "sqlite", "pg_ssl_verify": "on"}, {})
    assert settings.pg_ssl_verify
