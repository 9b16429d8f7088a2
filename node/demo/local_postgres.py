"""A private Postgres server of this machine's own binaries, gone without a trace when it ends.

For the demo and the tests. It listens on loopback only and wants a password that is drawn at start.
It gives up durability (``fsync = off``): what it holds isn't meant to outlive the machine.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from store.postgres_address import PostgresAddress, PostgresHost
from store.postgres_connection import connect

HOST = "127.0.0.1"
SUPERUSER = "postgres"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.01

_PACKAGED = Path("/usr/lib/postgresql")
"""Where Debian and its relatives put each version's programs, outside of PATH."""

_UNPRIVILEGED = ("postgres", "nobody")
"""Postgres refuses to run as root; it then runs as the first of these users that exists."""

_FIXED = {
    "listen_addresses": f"{HOST},::1",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "logging_collector": "off",
}


_SUPERVISE = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill -INT "$server"; } & reader=$!
wait "$server"; code=$?
kill "$reader" 2>/dev/null
exit "$code"
"""
"""Runs a server until it ends or standard input does: it must not outlive whoever started it."""


class PostgresNotStarted(Exception):
    """No server binaries, or they failed; the message says what to do or what they said."""


BINARIES_VARIABLE = "GRAPEVINE_TEST_PG_BINARIES"
"""Names a folder of server binaries to take instead of the newest found."""


def find_binaries() -> Path:
    """The folder of the newest server binaries on this machine. Raises PostgresNotStarted."""
    named_folder = os.environ.get(BINARIES_VARIABLE)
    if named_folder:
        return Path(named_folder)
    versions = [path for path in _PACKAGED.glob("*/bin") if path.parent.name.isdigit()]
    candidates = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        named = subprocess.run(["pg_config", "--bindir"], capture_output=True, check=True)
        candidates.append(Path(os.fsdecode(named.stdout).strip()))
    for folder in candidates:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    raise PostgresNotStarted(
        f"no Postgres server is installed: neither {_PACKAGED}/*/bin nor `pg_config --bindir` has"
        " initdb and postgres; install the package postgresql"
    )


def settings_for(address: PostgresAddress) -> dict[str, str]:
    """What a conf file says of a database."""
    (host,) = address.hosts
    return {
        "database": "postgres",
        "pg_host": host.host,
        "pg_port": str(host.port),
        "pg_database": address.database,
        "pg_user": address.user,
        "pg_password": address.password,
    }


class LocalPostgres:
    """One server with files in a folder of its own. ``settings`` are of postgresql.conf.

    Its methods block: up to a second to create, a fraction of one to start.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.binaries = find_binaries()
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        self.home = Path(tempfile.mkdtemp(prefix="grapevine-postgres-"))
        self.port = 0
        self.password = secrets.token_urlsafe(16)
        """The superuser's, over TCP and the Unix socket in ``home`` alike."""
        self._settings = {**_FIXED, "unix_socket_directories": str(self.home), **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def address(self, database: str = "postgres") -> PostgresAddress:
        """How the superuser reaches a database over TCP."""
        hosts = (PostgresHost(HOST, self.port),)
        return PostgresAddress(hosts, database, SUPERUSER, self.password)

    def create(self) -> None:
        """Make the server's files. Raises PostgresNotStarted."""
        self._own(self.home)
        if self._user is not None and not _open_to_all(self.binaries):
            # A checkout below root's home: its user may not even see the wheel's files.
            install = self.home / "install"
            shutil.copytree(self.binaries.parent, install, symlinks=True)
            self.binaries = install / "bin"
        secret = self.home / "password"
        secret.write_text(self.password)
        self._own(secret)
        command: list[str | Path] = [
            self.binaries / "initdb",
            "--no-sync",
            "--no-instructions",
            "-D",
            self.data,
        ]
        command += ["-U", SUPERUSER, f"--pwfile={secret}", "-A", "scram-sha-256"]
        command += ["-E", "UTF8", "--locale=C"]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.home, user=self._user, check=False
        )
        secret.unlink()
        if done.returncode:
            raise PostgresNotStarted(f"initdb failed:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start it and return once it takes connections. Raises PostgresNotStarted."""
        self.port = self.port or _free_port()
        settings = {**self._settings, "port": str(self.port)}
        command: list[str | Path] = [self.binaries / "postgres", "-D", self.data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SUPERVISE, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.home,
                user=self._user,
                start_new_session=True,  # a Ctrl-C in the terminal is for the demo alone
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if not self.running or time.monotonic() > deadline:
                raise PostgresNotStarted(f"postgres did not start:\n{self.log.read_text()}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Close every connection and stop (Postgres' fast shutdown)."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def children(self) -> list[int]:
        """The processes of a running server but the first: one for each connection, and others."""
        return list(_children(self._pid()))

    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """kill -9 of the server and all its processes, as if the power had failed."""
        if self._process is None or not self.running:
            return
        pids = [self._pid(), *self.children()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.communicate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(_runs(pid) for pid in pids):
            if time.monotonic() > deadline:
                raise PostgresNotStarted(f"processes {pids} of postgres don't end")
            time.sleep(POLL_SECONDS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    async def create_database(self, name: str) -> PostgresAddress:
        """Make an ordinary user and a database of theirs, both of this name."""
        password = secrets.token_urlsafe(16)
        admin, _ = await connect(self.address())
        try:
            await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        finally:
            await admin.close()
        return replace(self.address(name), user=name, password=password)

    def remove(self) -> None:
        """Stop it and delete its files."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _is_ready(self) -> bool:
        """What pg_ctl asks too: the eighth line of postmaster.pid is the server's state."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _own(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, self._user)


def _open_to_all(folder: Path) -> bool:
    """Whether every user may look into a folder."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def _unprivileged_user() -> str:
    for name in _UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PostgresNotStarted("Postgres refuses to run as root; run this as another user")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        status = _status(int(folder.name))
        if status and int(status[1]) == parent:
            yield int(folder.name)


def _runs(pid: int) -> bool:
    status = _status(pid)
    return bool(status) and status[0] != "Z"


def _status(pid: int) -> list[str]:
    """The state, the parent, … of a process (proc(5)); nothing when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
