"""``grapevine config`` on files and a real database."""

import asyncio
import hashlib
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from node.cli import main
from store.changeset import Change
from store.history import EPOCHS
from store.sqlite import SqliteAuthority

DOCUMENT = """
_format_version: "3.0"
services:
- name: one
  url: http://a.test:8080
  tags: [blue]
  routes:
  - {name: first, paths: [/one]}
"""


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "node1"


@pytest.fixture
def database(prefix: Path) -> Path:
    assert run("migrations", "bootstrap", "-p", str(prefix)).exit_code == 0
    return prefix


def run(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, words, input=stdin, catch_exceptions=False)


def test_init_writes_a_file_that_parses_and_never_over_another(prefix: Path) -> None:
    assert run("config", "init").exit_code == 0
    assert run("config", "parse", "kong.yml").output == "parse successful\n"
    again = run("config", "init")
    assert again.exit_code == 1
    assert "kong.yml: already exists" in again.output


def test_parse_names_everything_that_is_wrong_and_where(prefix: Path) -> None:
    Path("bad.yml").write_text(
        "_format_version: '3.0'\n"
        "services: [{name: a, host: h, routes: [{methods: x}]}, {name: b}]\n"
    )
    result = run("config", "parse", "bad.yml")
    assert result.exit_code == 1
    told = result.output
    assert "bad.yml: declarative config is invalid:" in told
    assert "- in entry 1 of 'routes':" in told
    assert "in 'methods': expected a set" in told
    assert "- in entry 2 of 'services':" in told
    assert "in 'host': required field missing" in told


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe", "is not UTF-8 (byte 0)"),
        (b"[", "failed parsing declarative configuration"),
        (b"", "expected an object"),
    ],
)
def test_a_file_that_is_no_document_is_refused(prefix: Path, content: bytes, why: str) -> None:
    Path("bad.yml").write_bytes(content)
    result = run("config", "parse", "bad.yml")
    assert result.exit_code == 1
    assert why in result.output


def test_a_missing_file_is_a_usage_error(prefix: Path) -> None:
    assert run("config", "parse", "nowhere.yml").exit_code == 2


def test_what_is_imported_comes_out_again(database: Path) -> None:
    Path("in.yml").write_text(DOCUMENT)
    imported = run("config", "db_import", "in.yml", "-p", str(database))
    assert imported.output == "import successful: 2 entities, revision 1.1\n"
    assert run("config", "db_export", "out.yml", "-p", str(database)).exit_code == 0
    assert stat.S_IMODE(Path("out.yml").stat().st_mode) == 0o600
    written = yaml.safe_load(Path("out.yml").read_text())
    assert written["_format_version"] == "3.0"
    (service,), (route,) = written["services"], written["routes"]
    assert (service["host"], service["tags"]) == ("a.test", ["blue"])
    assert route["service"] == service["id"]
    assert service["created_at"] > 1_700_000_000
    assert run("config", "parse", "out.yml").exit_code == 0


def test_an_export_reads_from_standard_input_and_writes_to_standard_output(database: Path) -> None:
    assert run("config", "db_import", "-", "-p", str(database), stdin=DOCUMENT).exit_code == 0
    shown = run("config", "db_export", "-", "-p", str(database))
    assert yaml.safe_load(shown.output)["services"][0]["name"] == "one"


def test_a_second_import_replaces_and_deletes_nothing(database: Path) -> None:
    run("config", "db_import", "-", "-p", str(database), stdin=DOCUMENT)
    other = "_format_version: '3.0'\nservices: [{name: one, host: b.test}, {name: two, host: c}]"
    run("config", "db_import", "-", "-p", str(database), stdin=other)
    written = yaml.safe_load(run("config", "db_export", "-", "-p", str(database)).output)
    assert {service["name"]: service["host"] for service in written["services"]} == {
        "one": "b.test",
        "two": "c",
    }
    assert len(written["routes"]) == 1


def test_records_of_epochs_stay_and_are_never_exported(database: Path) -> None:
    async def raise_epoch() -> list[Change]:
        authority = SqliteAuthority(database / "authority.db")
        await authority.open()
        head = await authority.head()
        await authority.raise_epoch(head, origin="n1", forced=True)
        state = await authority.state()
        await authority.close()
        return [change for change in state.entities if change.kind == EPOCHS]

    run("config", "db_import", "-", "-p", str(database), stdin=DOCUMENT)
    (record,) = asyncio.run(raise_epoch())
    exported = run("config", "db_export", "-", "-p", str(database)).output
    assert EPOCHS not in exported
    assert record.id not in exported
    run("config", "db_import", "-", "-p", str(database), stdin=exported)
    assert record in asyncio.run(raise_epoch())


def test_a_password_is_hashed_once_however_often_it_goes_in_and_out(database: Path) -> None:
    people = """
_format_version: "3.0"
consumers:
- username: bob
  basicauth_credentials: [{username: u, password: p}]
"""
    passwords = []
    text = people
    for _ in range(3):
        run("config", "db_import", "-", "-p", str(database), stdin=text)
        text = run("config", "db_export", "-", "-p", str(database)).output
        written = yaml.safe_load(text)
        (credential,) = written["basicauth_credentials"]
        salted = "p" + written["consumers"][0]["id"]
        passwords.append(credential["password"])
        assert credential["password"] == hashlib.sha1(salted.encode()).hexdigest()
    assert len(set(passwords)) == 1


def test_an_import_is_all_or_nothing(database: Path) -> None:
    run("config", "db_import", "-", "-p", str(database), stdin=DOCUMENT)
    other = (
        "_format_version: '3.0'\nservices: [{name: two, host: c}, "
        "{id: 11111111-1111-4111-8111-111111111111, name: one, host: b}]"
    )
    result = run("config", "db_import", "-", "-p", str(database), stdin=other)
    assert result.exit_code == 1
    assert "UNIQUE violation detected on '{name=\"one\"}'" in result.output
    written = yaml.safe_load(run("config", "db_export", "-", "-p", str(database)).output)
    assert [service["name"] for service in written["services"]] == ["one"]


def test_a_database_that_is_not_there_says_what_to_type(prefix: Path) -> None:
    result = run("config", "db_import", "-", "-p", str(prefix), stdin=DOCUMENT)
    assert result.exit_code == 1
    assert "grapevine migrations bootstrap" in result.output


def test_a_dry_run_of_an_import_says_what_would_change_and_changes_nothing(database: Path) -> None:
    run("config", "db_import", "-", "-p", str(database), stdin=DOCUMENT)
    other = """
_format_version: "3.0"
services: [{name: one, host: b.test}, {name: two, host: c}]
consumers: [{username: bob, keyauth_credentials: [{key: the-secret-key}]}]
"""
    shown = run("config", "db_import", "-", "--dry-run", "-p", str(database), stdin=other)
    assert shown.exit_code == 0
    assert "change services one: host" in shown.output
    assert "create services two\n" in shown.output
    assert "the-secret-key" not in shown.output
    assert "dry run: 3 to create, 1 to change, 0 as they should be\n" in shown.output
    again = run("config", "db_import", "-", "-p", str(database), stdin=DOCUMENT)
    assert again.output == "import successful: 2 entities, revision 1.1\n"


def test_an_import_may_refer_to_what_is_in_the_database(database: Path) -> None:
    run("config", "db_import", "-", "-p", str(database), stdin=DOCUMENT)
    route = "_format_version: '3.0'\nroutes: [{name: more, paths: [/more], service: one}]"
    imported = run("config", "db_import", "-", "-p", str(database), stdin=route)
    assert imported.output == "import successful: 1 entities, revision 1.2\n"
    wrong = run("config", "db_import", "-", "-p", str(database), stdin=route.replace("one", "no"))
    assert wrong.exit_code == 1
    assert "no such entry in 'services'" in wrong.output
