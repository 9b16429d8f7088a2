"""start, restart, reload, health: what they do and say; and the exit codes of all of them."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from node.demo.ports import HOST
from tests.system.daemon import Daemon, MakeDaemon, Outcome, daemon, listens, make_daemon
from tests.system.processes import grapevine
from tests.system.waiting import until

__all__ = ["daemon", "make_daemon"]

SECRET = "hunter2-hunter2-hunter2"


def contents(*paths: Path) -> dict[Path, bytes]:
    """What stands in those of them that are files."""
    return {path: path.read_bytes() for path in paths if path.is_file()}


class TestStart:
    async def test_it_returns_once_the_node_serves_and_says_where(self, daemon: Daemon) -> None:
        outcome = await daemon.start()
        assert outcome.code == 0, outcome.output
        ports = daemon.node.ports
        told = outcome.output.splitlines()
        # What it waits for is told where that takes long, as on a slow machine.
        lines = [line.split() for line in told if not line.startswith("waiting: ")]
        assert lines == [
            ["Grapevine", "started"],
            ["prefix", str(daemon.prefix), "(pid", f"{daemon.pid})"],
            ["conf", str(daemon.node.conf)],
            ["proxy", f"http://{HOST}:{ports.proxy}"],
            ["admin", f"http://{HOST}:{ports.admin}"],
            ["status", f"http://{HOST}:{ports.status}"],
            ["cluster", f"{HOST}:{ports.gossip}"],
        ]
        assert await listens(ports.proxy)
        health = await daemon.command("health")
        assert (health.code, health.output) == (
            0,
            f"Grapevine is healthy in {daemon.prefix} (pid {daemon.pid})\n",
        )

    async def test_the_daemon_has_a_session_of_its_own_and_no_terminal(
        self, daemon: Daemon
    ) -> None:
        await daemon.start()
        assert os.getsid(daemon.pid) == daemon.pid
        proc = Path(f"/proc/{daemon.pid}")
        assert str((proc / "cwd").readlink()) == "/"
        opened = [str((proc / "fd" / str(number)).readlink()) for number in range(3)]
        logs = daemon.prefix / "logs"
        assert opened == ["/dev/null", str(logs / "access.log"), str(logs / "error.log")]

    async def test_a_second_start_is_refused_and_the_first_goes_on(self, daemon: Daemon) -> None:
        await daemon.start()
        pid = daemon.pid
        again = await daemon.start()
        assert (again.code, again.output) == (
            1,
            f"error: Grapevine is already running in {daemon.prefix}\n",
        )
        assert daemon.pid == pid
        assert (await daemon.command("health")).code == 0

    async def test_of_two_starts_at_once_one_starts(self, daemon: Daemon) -> None:
        outcomes = await asyncio.gather(daemon.start(), daemon.start())
        assert sorted(outcome.code for outcome in outcomes) == [0, 1]
        (refused,) = (outcome.output for outcome in outcomes if outcome.code)
        assert "already running in" in refused

    async def test_a_pid_file_that_a_killed_node_left_is_no_obstacle(self, daemon: Daemon) -> None:
        await daemon.start()
        killed = daemon.pid
        os.killpg(killed, signal.SIGKILL)

        async def gone() -> bool:
            return not daemon.processes()

        await until(gone, "the killed node is gone")
        assert daemon.pid == killed, "the file is still there"
        assert (await daemon.command("health")).code == 3
        assert (await daemon.start()).code == 0
        assert daemon.pid != killed

    async def test_without_a_schema_it_says_what_to_type_and_the_node_goes_on_trying(
        self, make_daemon: MakeDaemon
    ) -> None:
        daemon = make_daemon()
        daemon.configure()
        outcome = await daemon.start("--db-timeout", "5")
        assert outcome.code == 1
        waiting, *_ = outcome.output.splitlines()
        assert waiting.startswith("waiting: ")
        assert "grapevine migrations bootstrap" in waiting
        assert "isn't ready after 5 s" in outcome.output
        health = await daemon.command("health")
        assert health.code == 1
        assert "grapevine migrations bootstrap" in health.output
        await daemon.bootstrap()

        async def healthy() -> bool:
            return (await daemon.command("health")).code == 0

        await until(healthy, "the node gets ready by itself")

    async def test_run_migrations_prepares_the_database_first(
        self, make_daemon: MakeDaemon
    ) -> None:
        daemon = make_daemon()
        daemon.configure()
        outcome = await daemon.start("--run-migrations")
        assert outcome.code == 0
        assert "database bootstrapped" in outcome.output

    async def test_a_node_that_ends_is_exit_code_1_with_the_end_of_its_log(
        self, daemon: Daemon
    ) -> None:
        with socket.create_server((HOST, daemon.node.ports.gossip)):
            outcome = await daemon.start()
        assert outcome.code == 1
        assert "Grapevine did not start (exit code 1); the end of " in outcome.output
        assert f"{HOST}:{daemon.node.ports.gossip}" in outcome.output
        assert daemon.processes() == []
        assert (await daemon.command("health")).code == 3

    async def test_the_answer_of_another_node_on_the_port_is_not_taken_for_its_own(
        self, daemon: Daemon, make_daemon: MakeDaemon
    ) -> None:
        await daemon.start()
        second = make_daemon()
        second.configure({"status_listen": f"{HOST}:{daemon.node.ports.status}"})
        outcome = await second.start()
        assert outcome.code == 1
        assert "Grapevine started" not in outcome.output
        assert f"status_listen: {HOST}:{daemon.node.ports.status} can't be bound" in outcome.output

    async def test_without_a_status_api_the_admin_api_is_asked(self, daemon: Daemon) -> None:
        daemon.configure({"status_listen": "off", "admin_token": SECRET})
        assert (await daemon.start()).code == 0
        health = await daemon.command("health", "-c", str(daemon.node.conf))
        assert health.code == 0, health.output

    async def test_without_any_api_a_running_node_is_all_there_is_to_tell(
        self, daemon: Daemon
    ) -> None:
        daemon.configure({"status_listen": "off", "admin_listen": "off"})
        assert (await daemon.start()).code == 0
        health = await daemon.command("health")
        assert health.code == 0
        assert "status_listen and admin_listen are off" in health.output

    async def test_ipv6_listeners_are_asked_and_printed_in_brackets(self, daemon: Daemon) -> None:
        port = daemon.node.ports.status
        daemon.configure({"status_listen": f"[::]:{port}"})
        outcome = await daemon.start()
        assert outcome.code == 0
        assert f"http://[::]:{port}" in outcome.output

    async def test_secrets_stand_in_no_command_line_no_log_and_no_note(
        self, daemon: Daemon
    ) -> None:
        flags = ("--set", f"admin_token={SECRET}", "--set", "log_level=debug")
        password = SECRET[::-1]
        outcome = await daemon.start(*flags, environment={"GRAPEVINE_PG_PASSWORD": password})
        assert outcome.code == 0, outcome.output
        assert (await daemon.command("reload")).code == 0
        async with aiohttp.ClientSession() as session:
            headers = {"Kong-Admin-Token": SECRET}
            async with session.get(daemon.node.admin_url, headers=headers) as response:
                assert response.status == 200, "the flag holds, after a reload too"
        assert len(daemon.processes()) >= 2
        files = contents(*daemon.prefix.rglob("*"))
        assert daemon.error_log in files
        command_lines = contents(*(Path(f"/proc/{pid}/cmdline") for pid in daemon.processes()))
        assert command_lines
        seen = [outcome.output.encode(), *files.values(), *command_lines.values()]
        for secret in (SECRET, password):
            assert not [text for text in seen if secret.encode() in text]


def told_of(outcome: Outcome) -> list[str]:
    """Its lines, without what a slow start waits for."""
    return [line for line in outcome.output.splitlines() if not line.startswith("waiting: ")]


class TestRestart:
    async def test_with_the_prefix_alone_the_same_file_is_read(self, daemon: Daemon) -> None:
        await daemon.start()
        before = daemon.pid
        outcome = await daemon.command("restart")
        assert outcome.code == 0, outcome.output
        assert told_of(outcome)[:2] == ["Grapevine stopped", "Grapevine started"]
        assert daemon.pid != before
        assert await listens(daemon.node.ports.proxy)

    async def test_a_node_that_doesnt_run_is_started(self, daemon: Daemon) -> None:
        outcome = await daemon.command("restart", "-c", str(daemon.node.conf))
        assert outcome.code == 0
        assert told_of(outcome)[0] == "Grapevine started"

    async def test_a_broken_file_stops_nothing(self, daemon: Daemon) -> None:
        await daemon.start()
        before = daemon.pid
        daemon.node.conf.write_text("log_level = loud\n")
        outcome = await daemon.command("restart")
        assert outcome.code == 1
        assert "log_level" in outcome.output
        assert daemon.pid == before
        assert (await daemon.command("health")).code == 0


class TestReload:
    async def test_it_returns_once_new_workers_serve_by_the_new_file(self, daemon: Daemon) -> None:
        await daemon.start()
        # On a connection that was kept an old worker may answer one more request.
        fresh = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=fresh) as session:

            async def server() -> str | None:
                async with session.get(daemon.node.proxy_url) as response:
                    return response.headers.get("Server")

            assert await server() is not None
            daemon.configure({"headers": "off"})
            outcome = await daemon.command("reload")
            assert (outcome.code, outcome.output) == (0, "Grapevine reloaded\n")
            assert await server() is None
        assert (await daemon.command("reload")).code == 0, "and again"

    async def test_a_broken_file_is_refused_with_its_problems_and_the_workers_stay(
        self, daemon: Daemon
    ) -> None:
        await daemon.start()
        before = daemon.processes()
        good = daemon.node.conf.read_text()
        daemon.node.conf.write_text(f"{good}log_level = loud\n")
        outcome = await daemon.command("reload")
        assert outcome.code == 1
        assert "reload refused, the old settings stay" in outcome.output
        assert f"{daemon.node.conf}:{good.count(chr(10)) + 1}: log_level = 'loud'" in outcome.output
        assert daemon.processes() == before
        daemon.node.conf.write_text(good)
        assert (await daemon.command("reload")).code == 0

    async def test_another_file_than_the_nodes_wants_a_restart(
        self, daemon: Daemon, tmp_path: Path
    ) -> None:
        await daemon.start()
        other = tmp_path / "other.conf"
        other.write_text(daemon.node.conf.read_text())
        outcome = await daemon.command("reload", "-c", str(other))
        assert outcome.code == 1
        assert "`grapevine restart`" in outcome.output


@pytest.mark.parametrize("name", ["stop", "quit", "reload", "health"])
async def test_without_a_node_the_exit_code_is_3(name: str, daemon: Daemon) -> None:
    for words in (("-p", str(daemon.prefix)), ("-c", str(daemon.node.conf))):
        command = await grapevine(name, *words)
        assert await command.end() == 3
        assert command.output == f"error: Grapevine is not running in {daemon.prefix}\n"


@pytest.mark.parametrize("name", ["start", "stop", "quit", "restart", "reload", "health"])
async def test_a_broken_configuration_is_exit_code_1(name: str, tmp_path: Path) -> None:
    conf = tmp_path / "broken.conf"
    conf.write_text("log_level = loud\n")
    command = await grapevine(name, "-c", str(conf))
    assert await command.end() == 1
    assert f"{conf}:1: log_level = 'loud'" in command.output


@pytest.mark.parametrize("name", ["start", "stop", "quit", "restart", "reload", "health"])
async def test_an_unknown_option_is_exit_code_2(name: str) -> None:
    command = await grapevine(name, "--frobnicate")
    assert await command.end() == 2
