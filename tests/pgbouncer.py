"""A real PgBouncer in front of a test's database."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from store.postgres_address import PostgresAddress, PostgresHost

START_SECONDS = 20.0
HOST = "127.0.0.1"


@contextmanager
def pgbouncer(
    address: PostgresAddress, *, pool_size: int, ignored: str = ""
) -> Iterator[PostgresAddress]:
    """The address of a pooler in transaction mode, with at most ``pool_size`` server connections.

    ``ignored`` are start-up parameters that it drops without a word.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "PgBouncer is not installed; install the package pgbouncer"
    (server,) = address.hosts
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="grapevine-pgbouncer-") as folder:
        home = Path(folder)
        users = home / "users.txt"
        users.write_text(f'"{address.user}" "{address.password}"\n')
        configuration = home / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n"
            f"{address.database} = host={server.host} port={server.port}\n"
            f"[pgbouncer]\n"
            f"listen_addr = {HOST}\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {users}\n"
            f"pool_mode = transaction\ndefault_pool_size = {pool_size}\n"
            f"ignore_startup_parameters = {ignored}\n"
        )
        user = None
        if os.geteuid() == 0:  # which PgBouncer refuses
            user = "nobody"
            for path in (home, users, configuration):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, str(configuration)], stdout=log, stderr=log, user=user, cwd=home
            )
        try:
            _wait(port, process, home / "log")
            yield replace(address, hosts=(PostgresHost(HOST, port),))
        finally:
            process.kill()
            process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"PgBouncer did not start:\n{log.read_text()}")
