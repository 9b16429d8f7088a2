"""The command line: what is printed, where, and with which exit code."""

import base64
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from node.cli import SUBCOMMANDS, main

ROOT = Path(__file__).parents[2]
SLOW_TO_IMPORT = {"asyncio", "aiohttp", "cryptography", "node.config", "node.cli.run"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def grapevine(*words: str, environ: dict[str, str] | None = None) -> Result:
    """Run a command in this process. An exception that isn't an exit fails the test."""
    return CliRunner().invoke(main, words, env=environ, catch_exceptions=False)


def test_help_lists_every_subcommand() -> None:
    result = grapevine("--help")
    assert result.exit_code == 0
    for name, subcommand in SUBCOMMANDS.items():
        assert name in result.output
        assert subcommand.summary in result.output


@pytest.mark.parametrize("name", list(SUBCOMMANDS))
def test_every_subcommand_is_where_the_list_says(name: str) -> None:
    command = getattr(import_module(SUBCOMMANDS[name].module), SUBCOMMANDS[name].attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert grapevine(name, "--help").exit_code == 0


def test_help_imports_nothing_that_is_slow() -> None:
    script = (
        "import sys, node.cli; node.cli.main(['--help'], standalone_mode=False); "
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    imported = set(done.stderr.split())
    assert "node.cli" in imported
    assert not imported & SLOW_TO_IMPORT


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("run", "--frob"),
        ("run", "--set", "log_level"),
        ("run", "--lifeline-fd", "987654"),
        ("check", "a", "-c", "b"),
    ],
)
def test_a_misspelt_command_line_is_exit_code_2(words: tuple[str, ...]) -> None:
    result = grapevine(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


def test_a_secret_typed_without_its_key_is_not_repeated() -> None:
    assert "hunter2" not in grapevine("run", "--set", "hunter2").output


def test_a_subcommand_that_isnt_there_names_those_that_are() -> None:
    assert f"there are {', '.join(SUBCOMMANDS)}" in grapevine("frob").stderr


class TestCheck:
    def test_a_good_file_is_valid(self) -> None:
        Path("good.conf").write_text("log_level = debug\nmem_cache_size = 1g\n")
        result = grapevine("check", "good.conf")
        assert (result.exit_code, result.stdout) == (0, "configuration at good.conf is valid\n")
        assert result.stderr == ("warning: keys of Kong's without an effect here: mem_cache_size\n")

    def test_a_broken_file_prints_every_problem_and_exits_with_1(self) -> None:
        Path("bad.conf").write_text("log_levl = debug\nadmin_listen = x\n")
        result = grapevine("check", "bad.conf")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines() == [
            "error: bad.conf:1: log_levl: unknown key; did you mean log_level?",
            "error: bad.conf:2: admin_listen = 'x': 'x' names no port; write host:port",
        ]

    def test_the_environment_counts(self) -> None:
        result = grapevine("check", environ={"KONG_ROLE": "boss"})
        assert result.exit_code == 1
        assert result.stderr.startswith("error: KONG_ROLE: role = 'boss': is none of traditional")

    def test_a_file_that_isnt_there_is_named(self) -> None:
        result = grapevine("check", "absent.conf")
        assert (result.exit_code, result.stderr) == (
            1,
            "error: absent.conf: can't be read: No such file or directory\n",
        )

    def test_v_says_what_was_read_and_vv_every_key_but_no_secret(self) -> None:
        secret = {"GRAPEVINE_ADMIN_TOKEN": "hunter2-hunter2-hunter2"}
        words = ("check", "--prefix", "here", "--set", "log_level=info")
        told = grapevine(*words, "--v", environ=secret).stderr
        assert "configuration file /etc/kong/kong.conf: passed" in told
        assert "database sqlite: database is unset and no pg_* key is set" in told
        assert "log_level" not in told
        told = grapevine(*words, "--vv", environ=secret).stderr
        assert "log_level = info  # --set" in told
        assert "shutdown_timeout = 25.0  # default" in told
        assert "admin_token = ******  # GRAPEVINE_ADMIN_TOKEN" in told
        assert "hunter2" not in told

    def test_keys_lists_the_table(self) -> None:
        result = grapevine("check", "--keys")
        assert result.exit_code == 0
        assert "cluster_encrypt_key" in result.output

    def test_unsupported_keys_are_passed_over_when_told(self) -> None:
        words = ("check", "--set", "wasm=on", "--set", "cluster_ocsp=on")
        assert grapevine(*words).exit_code == 1
        assert grapevine(*words, "--ignore-unsupported", "wasm, cluster_ocsp").exit_code == 0


def test_run_refuses_a_broken_configuration_without_starting() -> None:
    result = grapevine("run", "--set", "proxy_listen=nowhere")
    assert result.exit_code == 1
    assert "proxy_listen" in result.stderr


def test_keygen_makes_a_new_key_each_time() -> None:
    keys = {grapevine("cluster", "keygen").output for _ in range(3)}
    assert len(keys) == 3
    assert all(len(base64.b64decode(key)) == 32 for key in keys)
    assert grapevine("check", "--set", f"cluster_encrypt_key={keys.pop().strip()}").exit_code == 0


def test_version_names_the_software_and_with_a_what_it_runs_on() -> None:
    assert grapevine("version").output.startswith("grapevine ")
    lines = grapevine("version", "-a").output.splitlines()
    assert "Kong Admin API: 3.9.3" in lines
    assert any(line.startswith("Python: ") for line in lines)
    assert any(line.startswith("SQLite: ") for line in lines)


def test_python_m_node_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "node", "frobnicate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: grapevine")
